"""A trained model as a Python function: images in, embeddings out."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from facemill.model.runtimes import registry
from facemill.model.runtimes.choices import AUTO
from facemill.transforms import storage
from facemill.transforms.core import cores
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.core.reasons import Reason
from facemill.transforms.dataset import artifact
from facemill.transforms.faces.crop import CropConfig, check_detector, frame
from facemill.transforms.images.resize import encode_jpeg
from facemill.transforms.scoring.model import ModelHandlerForBatches, embed_each
from facemill.transforms.scoring.read import Batch, Reader, Standardized
from facemill.transforms.scoring.rows import Failure, Measures
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.memory import InMemory

# The default of `facemill score`: with equal batch sizes the embeddings are equal bit by bit.
_BATCH_SIZE = 32


class Model:
    """A model that `facemill train` or `facemill import-model` wrote; made by `load`.

    Attributes:
        path: absolute path of the model.
        model_id: hex SHA-256 of everything that the embeddings depend on.
        embedding_size: D.
        image_size: side of the crop that the network takes, in pixels.
        crop_config: how an image becomes that crop, as in the dataset of the training.
        runtime: what runs the network: `litert`, `onnxruntime` or `tensorflow`.
    """

    def __init__(
        self,
        path: str,
        manifest: dict[str, Any],
        batch_size: int,
        threads: int,
        runtime: str = AUTO,
    ) -> None:
        self.path = path
        self.model_id: str = manifest["model_id"]
        self.embedding_size: int = manifest["embedding_size"]
        self.crop_config = CropConfig.from_manifest(manifest["preprocessing"])
        self.image_size = self.crop_config.size
        self._batch_size = batch_size
        self._threads = threads
        check_detector(self.crop_config)
        spec = registry.choose(manifest, runtime)
        self.runtime = spec.kind
        load = registry.loader(manifest, spec, batch_size, threads)
        self._handler = ModelHandlerForBatches(
            path, artifact.fingerprint(manifest), spec.file, load, batch_size, threads
        )
        self._loaded = self._handler.load_model()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        batch_size: int = _BATCH_SIZE,
        threads: int | None = None,
        runtime: str = AUTO,
    ) -> "Model":
        """Loads a model after checking its files against the SHA-256 of its manifest.

        Args:
            path: the model's directory.
            batch_size: images that are given to the network together, 1 or more; a smaller batch
                is padded.
            threads: threads that decode photos, and calls of a LiteRT or ONNX network at a time, 1
                or more; None for one for each core. Never changes a result.
            runtime: what runs the network: `litert`, `onnxruntime` or `tensorflow`; `auto` for the
                first for which the model has a file and that is installed, as `facemill score`
                takes it.

        Raises:
            UsageError: there is no complete model at the path, its detector or runtime is not
                installed, or an argument is out of its range.
            RunError: a file of the model is missing, damaged or listed nowhere.
        """
        threads = cores.usable() if threads is None else threads
        if batch_size < 1 or threads < 1:
            raise UsageError(
                "batch_size and threads must be 1 or more, got "
                f"batch_size={batch_size} and threads={threads}; give others."
            )
        root = storage.absolute(os.fspath(path), "path")
        return cls(root, artifact.read_manifest(root, "model"), batch_size, threads, runtime)

    def __repr__(self) -> str:
        return f"Model({self.path!r}, model_id={self.model_id[:12]!r})"

    def __call__(
        self, images: np.ndarray | Sequence[np.ndarray] | Sequence[bytes], framed: bool = False
    ) -> np.ndarray:
        """The embeddings of images, equal to those that `facemill score` writes.

        Args:
            images: uint8 [N, H, W, 3] (RGB, upright), a list of such arrays [H, W, 3] of different
                sizes, or a list of the bytes of JPEG, PNG or other image files. Each is cropped as
                `crop_config` says.
            framed: whether the arrays are such crops already, uint8 [N, S, S, 3], as
                `facemill.load_dataset` returns them; then they are not cropped a second time.

        Returns:
            float32 [N, D], each row of length 1.

        Raises:
            UsageError: the images are of another shape or type.
            RunError: an image has no embedding: it cannot be read, or shows no face where the
                model needs one. `embed_each` goes on with the others.
        """
        results = self._framed(images) if framed else self.embed_each(images)
        for index, one in enumerate(results):
            if isinstance(one, str):
                raise RunError(
                    f"Each image must have an embedding, but image {index} has none ({one}); leave "
                    "it out, or use embed_each."
                )
        return np.array(results, np.float32).reshape(len(results), self.embedding_size)

    def embed_each(
        self, images: np.ndarray | Sequence[np.ndarray] | Sequence[bytes]
    ) -> list[np.ndarray | str]:
        """The embedding of each image, or the reason why it has none.

        Args:
            images: N images as for a call of the model, N from 0 on.

        Returns:
            N results: float32 [D] of length 1, or the reason as a phrase.

        Raises:
            UsageError: the images are of another shape or type.
        """
        results: list[np.ndarray | str] = []
        for start in range(0, len(images), self._batch_size):
            some: Any = images[start : start + self._batch_size]
            encoded = all(isinstance(one, bytes) for one in some)
            found = list(self._of_bytes(some) if encoded else self._of_arrays(some))
            ready = [one for one in found if isinstance(one, Standardized)]
            vectors = iter(self._embed(ready))
            results += [one if isinstance(one, str) else next(vectors) for one in found]
        return results

    def _of_bytes(self, contents: Sequence[bytes]) -> Iterator[Standardized | str]:
        source = InMemory(contents)
        with ThreadPoolExecutor(self._threads) as pool:
            for (one,) in Reader(source, self.crop_config).read(list(source.refs("")), pool):
                yield one.reason if isinstance(one, Failure) else one

    def _of_arrays(self, images: Sequence[np.ndarray]) -> Iterator[Standardized | str]:
        checked = [_checked(one) for one in images]
        for one in frame(self.crop_config, checked, [None] * len(checked)):
            if isinstance(one, str):
                yield one
            else:
                # Encoded as for training, which reads crops from the JPEGs of records.
                yield Standardized(encode_jpeg(one.pixels), Measures.of(one))

    def _embed(self, images: list[Standardized]) -> list[np.ndarray | str]:
        refs = [Ref(str(index), None, "") for index in range(len(images))]
        (results,) = self._handler.run_inference([Batch(refs, images)], self._loaded)
        return [
            one.reason if isinstance(one, Failure) else np.frombuffer(one.embedding, "<f4")
            for one in results
        ]

    def _framed(self, images: Any) -> list[np.ndarray | str]:
        crops = np.asarray(images)
        shape = (self.image_size, self.image_size, 3)
        if crops.dtype != np.uint8 or crops.shape[1:] != shape:
            raise UsageError(
                f"Framed images must be uint8 [N, {', '.join(map(str, shape))}], got "
                f"{crops.dtype} {list(crops.shape)}; leave framed=True out for photos."
            )
        results: list[np.ndarray | str] = []
        for start in range(0, len(crops), self._batch_size):
            some = crops[start : start + self._batch_size]
            found = embed_each(some, self._loaded)
            results += [str(one) if isinstance(one, Reason) else one for one in found]
        return results


def _checked(image: Any) -> np.ndarray:
    if isinstance(image, np.ndarray) and image.dtype == np.uint8:
        if image.ndim == 3 and image.shape[2] == 3 and image.size:
            return image
        got = f"uint8 {list(image.shape)}"
    else:
        got = f"{getattr(image, 'dtype', type(image).__name__)}"
    raise UsageError(
        f"Each image must be uint8 [H, W, 3] or the bytes of an image file, got {got}; convert it."
    )

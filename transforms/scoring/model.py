"""The RunInference handler for a model artifact, whatever runs its network."""

import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from apache_beam.ml.inference import base

from facemill.transforms.core import counters
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.dataset import artifact
from facemill.transforms.images.decode import decode
from facemill.transforms.scoring.read import Batch, Standardized
from facemill.transforms.scoring.refused import ImageRefusedError
from facemill.transforms.scoring.rows import Failure, Result, Scored

# uint8 [N, S, S, 3], RGB -> float32 [N, D]; may raise ImageRefusedError or RunError.
Embed = Callable[[np.ndarray], np.ndarray]

# A counter: milliseconds that worker processes spend in the model.
MODEL_TIME = "model_ms"

_NOT_FINITE = Reason(ReasonCode.NOT_FINITE, "its embedding is not finite")


class ModelHandlerForBatches(base.ModelHandler[Batch, list[Result], Any]):
    """Batch -> one `Scored` or `Failure` for each of its images, in order.

    An element is a batch of images, so Beam does not batch elements further. How many images the
    network takes in one call is the runtime's matter, which fills up the last one; so the last bits
    of a result never depend on the number of images.

    If an image is bad, the runtime raises ImageRefusedError or gives an embedding that is not
    finite. Every other error is a fault of the machine and fails the bundle.

    Args:
        path: path of the model artifact.
        fingerprint: fingerprint of its manifest when the job was started.
        file: the file or folder that the runtime reads, relative to the artifact.
        load: absolute path of that file or folder, on a disk -> the model. It is pickled.
        batch_size: images that are given to the model together.
        threads: how many of these are in the model at a time; any number of threads may call the
            model that `load` gives. Never changes the result.
    """

    def __init__(
        self,
        path: str,
        fingerprint: str,
        file: str,
        load: Callable[[str], Embed],
        batch_size: int,
        threads: int,
    ) -> None:
        super().__init__()
        self._path = path
        self._fingerprint = fingerprint
        self._file = file
        self._load = load
        self._batch_size = batch_size
        self._threads = threads

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A worker process unpickles the handler before it loads the model. Beam imports `resource`
        # and PyTorch in one `try`, so without PyTorch it treats both as absent: it would warn twice
        # in every worker process and measure no memory.
        self.__dict__.update(state)
        base.resource = resource

    def load_model(self) -> Embed:
        """Loads the model after checking its files; called once in each worker process.

        Raises:
            RunError: the model at the path is not the one that the job was started with, or its
                files differ from its manifest.
            UsageError: there is no model at the path, or the runtime is not installed.
        """
        manifest = artifact.read_manifest(self._path, "model")
        if artifact.fingerprint(manifest) != self._fingerprint:
            raise RunError(
                f"`model` must not change while a job runs, but {self._path} holds another model "
                "now; run the command again."
            )
        if not artifact.entries_under(manifest, self._file):
            raise RunError(
                f"The manifest of {self._path} must list {self._file}, which holds the network, "
                "but does not; make the model again."
            )
        path = artifact.local_copy(self._path, manifest, self._file)
        there = artifact.resolve(path, self._file)
        for unlisted in artifact.unlisted_files(path, manifest["files"], self._file):
            raise RunError(
                f"{there} must hold the files of its manifest only, got "
                f"{unlisted.removeprefix(f'{self._file}/')} too; make the model again."
            )
        return self._load(there)

    def run_inference(
        self, batch: Sequence[Batch], model: Embed, inference_args: dict[str, Any] | None = None
    ) -> Iterable[list[Result]]:
        """One list of results for each element.

        Args:
            batch: elements, each with its images.
            model: what `load_model` returned.
            inference_args: ignored.

        Raises:
            RunError: the model fails for another reason than a bad image.
        """
        del inference_args
        started = time.monotonic()
        results = [self._results(one, model) for one in batch]
        counters.count(MODEL_TIME, round(1000 * (time.monotonic() - started)))
        return results

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """One element at a time: it is a batch itself."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def _results(self, batch: Batch, model: Embed) -> list[Result]:
        size = self._batch_size
        parts = [batch.images[start : start + size] for start in range(0, len(batch.images), size)]
        # One more than are in the model, which decodes the next one meanwhile. The threads end with
        # the batch, so that the handler holds nothing that cannot be pickled.
        with ThreadPoolExecutor(self._threads + 1) as pool:
            found = list(pool.map(lambda part: embed_each(_pixels(part), model), parts))
        vectors = [vector for part in found for vector in part]
        results: list[Result] = []
        for ref, image, vector in zip(batch.refs, batch.images, vectors, strict=True):
            if isinstance(vector, Reason):
                results.append(Failure(ref.image_id, ref.path, vector, image.sha256))
            else:
                data = vector.astype("<f4").tobytes()
                row = (ref.image_id, ref.path, ref.identity, image.measures, data, image.sha256)
                results.append(Scored(*row))
        return results


def embed_each(pixels: np.ndarray, model: Embed) -> list[np.ndarray | Reason]:
    """The embedding of each crop, float32 [D], or the reason why it has none.

    Args:
        pixels: uint8 [N, S, S, 3], N from 1 on.
        model: what `load_model` returned.

    Raises:
        RunError: the model fails for another reason than a bad image.
    """
    try:
        vectors = model(pixels)
    except ImageRefusedError as error:
        if len(pixels) == 1:
            return [error.reason]
        # One image that the model cannot embed must not fail the others. Bisection finds it in
        # fewer calls than single images would.
        half = len(pixels) // 2
        return embed_each(pixels[:half], model) + embed_each(pixels[half:], model)
    return [vector if np.isfinite(vector).all() else _NOT_FINITE for vector in vectors]


def _pixels(images: Sequence[Standardized]) -> np.ndarray:
    """uint8 [N, S, S, 3] of crops, which are JPEGs: training read its crops from JPEGs too."""
    return np.stack([decode(image.encoded).pixels for image in images])

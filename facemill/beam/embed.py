"""Embeddings of images in any Beam pipeline."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from facemill.beam.rows import MAX_WAITING_BYTES, Embedding, Image, as_image, as_ref
from facemill.model.runtimes import registry
from facemill.model.runtimes.choices import AUTO
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.merging import Merge
from facemill.transforms.core.windowed import at_end
from facemill.transforms.dataset import artifact
from facemill.transforms.faces.crop import CropConfig, check_detector
from facemill.transforms.scoring.model import ModelHandlerForBatches
from facemill.transforms.scoring.read import Batch, Reader
from facemill.transforms.scoring.rows import Failure, Result
from facemill.transforms.sources.memory import InMemory

_FAILED = "failed"


class Embed(beam.PTransform):
    """(key, bytes) or Image -> Embedding, one for each element.

    The vectors are equal to those of `facemill score` with the same batch size. A photo that cannot
    be read, or shows no face where the model needs one, gives an Embedding with a reason and no
    vector, and does not affect the others. The results are in the global window.

    Args:
        model: the directory of a model, which every worker sees at the same path.
        batch_size: images that are given to the network together, 1 or more; a smaller batch is
            padded.
        threads: threads that decode photos in each bundle, and calls of a LiteRT or ONNX network at
            a time in each process, 1 or more; never changes a result.
        runtime: what runs the network on the workers: `litert`, `onnxruntime` or `tensorflow`;
            `auto` for the first for which the model has a file and that is installed here.

    Raises:
        UsageError: there is no complete model at the path, its detector is not installed, or an
            argument is out of its range.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        batch_size: int = 32,
        threads: int = 2,
        runtime: str = AUTO,
    ) -> None:
        super().__init__()
        if batch_size < 1 or threads < 1:
            raise UsageError(
                "batch_size and threads must be 1 or more, got "
                f"batch_size={batch_size} and threads={threads}; give others."
            )
        path = storage.absolute(os.fspath(model), "model")
        manifest = artifact.read_manifest(path, "model")
        crop_config = CropConfig.from_manifest(manifest["preprocessing"])
        check_detector(crop_config)
        spec = registry.choose(manifest, runtime)
        load = registry.loader(manifest, spec, batch_size, threads)
        self._handler = ModelHandlerForBatches(
            path, artifact.fingerprint(manifest), spec.file, load, batch_size, threads
        )
        self._fn = _Standardize(crop_config, batch_size, threads)

    def expand(self, images: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        ready = (
            images
            | "Global" >> beam.WindowInto(GlobalWindows())
            | "Standardize" >> beam.ParDo(self._fn).with_outputs(_FAILED, main="batches")
        )
        embedded = (
            ready.batches
            | "Model" >> RunInference(self._handler)
            | "Embeddings" >> beam.FlatMap(_embeddings).with_output_types(Embedding)
        )
        failed = ready[_FAILED] | "Failed" >> beam.Map(_failed).with_output_types(Embedding)
        return (embedded, failed) | "All" >> Merge()


class _Standardize(beam.DoFn):
    """Image -> Batch of crops; Failure of an image without a crop under the tag "failed"."""

    def __init__(self, crop_config: CropConfig, batch_size: int, threads: int) -> None:
        self._crop_config = crop_config
        self._batch_size = batch_size
        self._threads = threads

    def setup(self) -> None:
        self._pool = ThreadPoolExecutor(self._threads)

    def teardown(self) -> None:
        self._pool.shutdown()

    def start_bundle(self) -> None:
        self._waiting: list[Image] = []
        self._bytes = 0

    def process(self, element: Any) -> Iterator[Batch | TaggedOutput[Literal["failed"], Failure]]:
        image = as_image(element)
        self._waiting.append(image)
        self._bytes += len(image.data or b"")
        if len(self._waiting) == self._batch_size or self._bytes >= MAX_WAITING_BYTES:
            yield from self._outputs()

    def finish_bundle(self) -> Iterator[WindowedValue | TaggedOutput]:
        for one in self._outputs():
            if isinstance(one, TaggedOutput):
                yield TaggedOutput(one.tag, at_end(one.value))
            else:
                yield at_end(one)

    def _outputs(self) -> Iterator[Batch | TaggedOutput[Literal["failed"], Failure]]:
        images, self._waiting, self._bytes = self._waiting, [], 0
        refs = [as_ref(image, index) for index, image in enumerate(images)]
        source = InMemory([image.data or b"" for image in images])
        batch = Batch([], [])
        reader = Reader(source, self._crop_config)
        for ref, (result,) in zip(refs, reader.read(refs, self._pool), strict=True):
            if isinstance(result, Failure):
                yield TaggedOutput(_FAILED, result)
            else:
                batch.refs.append(ref)
                batch.images.append(result)
        if batch.refs:
            yield batch


def _embeddings(results: Iterable[Result]) -> Iterator[Embedding]:
    for one in results:
        if isinstance(one, Failure):
            yield _failed(one)
        else:
            yield Embedding(one.image_id, np.frombuffer(one.embedding, "<f4"), None, None)


def _failed(failure: Failure) -> Embedding:
    reason = failure.reason
    return Embedding(failure.image_id, None, str(reason), reason.code.value)

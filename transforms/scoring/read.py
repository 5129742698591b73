"""Reading images for scoring: the same pixels that ingest would have given to training."""

import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from transforms import storage, tfrecord
from transforms.decode import MAX_BYTES, DecodeError, decode
from transforms.errors import RunError
from transforms.keyed import keyed_hash
from transforms.listing import CHUNK
from transforms.records import from_example
from transforms.rows import partition
from transforms.scoring.rows import Failure, Source
from transforms.standardize import standardize

FAILED_TAG = "failed"


@dataclass(frozen=True)
class Batch:
    """Images that are ready for a model.

    Attributes:
        sources: N of them.
        encoded: N standardized JPEGs.
    """

    sources: list[Source]
    encoded: list[bytes]


def read(root: str, source: Source, size: int, fraction: float) -> bytes | Failure:
    """One image's standardized JPEG, byte for byte what ingest writes into a record.

    Args:
        root: the input.
        source: the image.
        size: of the model's images, in pixels.
        fraction: of the shorter side that the center crop keeps, in (0, 1].
    """
    if source.reason:
        return Failure(source.image_id, source.path, source.reason)
    path = os.path.join(root, *source.path.split("/"))
    try:
        if source.offset is not None:
            return _record(path, source.offset, size, fraction)
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            # A pipe would never end.
            return Failure(source.image_id, source.path, "not a regular file")
        if status.st_size > MAX_BYTES:
            reason = f"file of {status.st_size} bytes is above the limit of {MAX_BYTES}"
            return Failure(source.image_id, source.path, reason)
        return standardize(decode(storage.read_bytes(path)).pixels, size, fraction).encoded
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except (DecodeError, RunError) as error:
        reason = str(error)
    return Failure(source.image_id, source.path, reason)


class ReadImages(beam.PTransform):
    """list[Source] -> Batch, and list[Failure] under the tag "failed".

    A batch holds images of one key range in their order, so that which images share a batch does
    not depend on the engine.

    Args:
        root: the input.
        size: of the model's images, in pixels.
        fraction: of the shorter side that the center crop keeps.
        threads: that decode at the same time; never changes the result.
        total: a PCollection of one number, how many images there are.
    """

    def __init__(
        self, root: str, size: int, fraction: float, threads: int, total: beam.PCollection
    ) -> None:
        super().__init__()
        self._fn = _Read(root, size, fraction, threads)
        self._total = total

    def expand(self, chunks: beam.PCollection) -> Any:
        """Builds the graph."""
        return (
            chunks
            | "ByRange"
            >> beam.FlatMap(_by_range, beam.pvalue.AsSingleton(self._total)).with_output_types(
                tuple[int, list[Source]]
            )
            | "GroupRanges" >> beam.GroupByKey()
            | "Read" >> beam.ParDo(self._fn).with_outputs(FAILED_TAG, main="batches")
        )


def _by_range(chunk: list[Source], total: int) -> Iterable[tuple[int, list[Source]]]:
    ranges = max(1, total // CHUNK)
    return partition(chunk, lambda one: keyed_hash(0, "score", one.image_id) % ranges).items()


class _Read(beam.DoFn):
    def __init__(self, root: str, size: int, fraction: float, threads: int) -> None:
        self._root = root
        self._size = size
        self._fraction = fraction
        self._threads = threads

    def setup(self) -> None:
        # Pillow and OpenCV work outside the interpreter's lock, so threads use the cores.
        self._pool = ThreadPoolExecutor(self._threads)

    def teardown(self) -> None:
        self._pool.shutdown()

    def process(
        self, group: tuple[int, Iterable[list[Source]]]
    ) -> Iterator[Batch | TaggedOutput[Literal["failed"], list[Failure]]]:
        sources = sorted((one for part in group[1] for one in part), key=lambda one: one.image_id)
        good: list[tuple[Source, bytes]] = []
        failed: list[Failure] = []
        for source, result in zip(sources, self._pool.map(self._read, sources), strict=True):
            if isinstance(result, Failure):
                failed.append(result)
            else:
                good.append((source, result))
        for start in range(0, len(good), CHUNK):
            some = good[start : start + CHUNK]
            yield Batch([source for source, _ in some], [encoded for _, encoded in some])
        if failed:
            yield TaggedOutput(FAILED_TAG, failed)

    def _read(self, source: Source) -> bytes | Failure:
        return read(self._root, source, self._size, self._fraction)


def _record(path: str, offset: int, size: int, fraction: float) -> bytes:
    with open(path, "rb") as stream:
        encoded = from_example(tfrecord.read_at(stream, offset)).encoded
    pixels = decode(encoded).pixels
    if pixels.shape[:2] == (size, size):
        # What ingest standardized must not be encoded a second time.
        return encoded
    return standardize(np.asarray(pixels), size, fraction).encoded

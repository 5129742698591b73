"""Reading images for scoring: the same pixels that ingest would have given to training."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from transforms.decode import DecodeError, decode
from transforms.framing import Framed, Look, frame
from transforms.places import CHUNK
from transforms.scoring.rows import Failure
from transforms.sources.anybody import reason_of
from transforms.sources.base import Ref, Source, Unreadable
from transforms.sources.dataset import DatasetRecords
from transforms.standardize import encode_jpeg

FAILED_TAG = "failed"

# Images that are decoded at a time: as many as a detector likes, as few as memory likes.
_AT_A_TIME = 16


@dataclass(frozen=True)
class Batch:
    """Images that are ready for a model.

    Attributes:
        refs: N of them.
        encoded: N standardized JPEGs.
    """

    refs: list[Ref]
    encoded: list[bytes]


@dataclass(frozen=True)
class Reader:
    """Reads images as a model wants them.

    Attributes:
        source: of the images.
        look: how pictures become squares, as the model was trained.
    """

    source: Source
    look: Look

    def read(self, refs: Sequence[Ref], pool: Executor) -> Iterator[bytes | Failure]:
        """Each image's standardized JPEG, byte for byte what ingest writes into a record.

        Args:
            refs: the images.
            pool: of threads that decode.
        """
        contents = self.source.read([ref for ref in refs if not reason_of(ref)])
        for start in range(0, len(refs), _AT_A_TIME):
            some = refs[start : start + _AT_A_TIME]
            opened = list(pool.map(self._open, self._contents(some, contents)))
            pictures = [one for one in opened if isinstance(one, np.ndarray)]
            landmarks = [
                ref.landmarks
                for ref, one in zip(some, opened, strict=True)
                if isinstance(one, np.ndarray)
            ]
            framed = pool.map(_encode, frame(self._look_of_pictures, pictures, landmarks))
            for ref, one in zip(some, opened, strict=True):
                result = next(framed) if isinstance(one, np.ndarray) else one
                if isinstance(result, str):
                    yield Failure(ref.image_id, ref.path, result)
                else:
                    yield result

    @property
    def _look_of_pictures(self) -> Look:
        # A dataset's records are squares already.
        return Look(self.look.size, "none") if self._is_dataset else self.look

    @property
    def _is_dataset(self) -> bool:
        return isinstance(self.source, DatasetRecords)

    def _contents(
        self, refs: Sequence[Ref], contents: Iterator[bytes | Unreadable]
    ) -> Iterator[bytes | Unreadable]:
        for ref in refs:
            reason = reason_of(ref)
            yield Unreadable(reason) if reason else next(contents)

    def _open(self, content: bytes | Unreadable) -> np.ndarray | bytes | str:
        """Pixels that are to be framed, a JPEG that is ready, or a reason."""
        if isinstance(content, Unreadable):
            return content.reason
        try:
            pixels = decode(content).pixels
        except DecodeError as error:
            return str(error)
        if self._is_dataset and pixels.shape[:2] == (self.look.size, self.look.size):
            # What ingest standardized must not be encoded a second time.
            return content
        return pixels


class ReadImages(beam.PTransform):
    """(range, lists of Ref) -> Batch, and list[Failure] under the tag "failed".

    A batch holds images of one key range in their order, so that which images share a batch does
    not depend on the engine.

    Args:
        reader: of the images.
        threads: that decode at the same time; never changes the result.
    """

    def __init__(self, reader: Reader, threads: int) -> None:
        super().__init__()
        self._fn = _Read(reader, threads)

    def expand(self, ranges: beam.PCollection) -> Any:
        """Builds the graph."""
        return ranges | "Read" >> beam.ParDo(self._fn).with_outputs(FAILED_TAG, main="batches")


class _Read(beam.DoFn):
    def __init__(self, reader: Reader, threads: int) -> None:
        self._reader = reader
        self._threads = threads

    def setup(self) -> None:
        # Pillow and OpenCV work outside the interpreter's lock, so threads use the cores.
        self._pool = ThreadPoolExecutor(self._threads)

    def teardown(self) -> None:
        self._pool.shutdown()

    def process(
        self, group: tuple[int, Iterable[list[Ref]]]
    ) -> Iterator[Batch | TaggedOutput[Literal["failed"], list[Failure]]]:
        refs = sorted((one for part in group[1] for one in part), key=lambda one: one.image_id)
        good: list[tuple[Ref, bytes]] = []
        failed: list[Failure] = []
        for ref, result in zip(refs, self._reader.read(refs, self._pool), strict=True):
            if isinstance(result, Failure):
                failed.append(result)
            else:
                good.append((ref, result))
        for start in range(0, len(good), CHUNK):
            some = good[start : start + CHUNK]
            yield Batch([ref for ref, _ in some], [encoded for _, encoded in some])
        if failed:
            yield TaggedOutput(FAILED_TAG, failed)


def _encode(framed: Framed | str) -> bytes | str:
    return framed if isinstance(framed, str) else encode_jpeg(framed.pixels)

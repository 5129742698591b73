"""Reads images for scoring: the same pixels that ingest would write for training."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core.coders import register
from facemill.transforms.core.reasons import Reason
from facemill.transforms.core.row_ids import CHUNK
from facemill.transforms.faces.crop import Crop, CropConfig, frame
from facemill.transforms.images.decode import Decoded, DecodeError, decode
from facemill.transforms.images.process import prepare_process
from facemill.transforms.images.resize import encode_jpeg
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scoring.rows import Failure, Measures
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.dataset import DatasetRecords
from facemill.transforms.sources.missing_identity import reason_of

FAILED_TAG = "failed"

# Images that are decoded at a time: a detector is faster with many, and their pixels take memory.
_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class Standardized:
    """One image in the form that a model takes.

    Attributes:
        encoded: the crop as JPEG, RGB, with the bytes that ingest writes into a record.
        measures: the measures of the crop.
    """

    encoded: bytes
    measures: Measures


@dataclass(frozen=True)
class Batch:
    """Images that are ready for a model.

    Attributes:
        refs: N references.
        images: N images, in the same order.
    """

    refs: list[Ref]
    images: list[Standardized]


register(Batch, Failure)


@dataclass(frozen=True)
class Reader:
    """Reads images in the form that a model takes.

    Attributes:
        source: the source of the images.
        crop_config: how an image becomes a crop, as in the training of the model.
    """

    source: Source
    crop_config: CropConfig

    def read(self, refs: Sequence[Ref], pool: Executor) -> Iterator[Standardized | Failure]:
        """Each image in the form that a model takes, or the reason why there is none, in order.

        Args:
            refs: the images.
            pool: threads that decode.

        Raises:
            RunError: a dataset is damaged.
        """
        contents = self.source.read([ref for ref in refs if not reason_of(ref)])
        for start in range(0, len(refs), _AT_A_TIME):
            some = refs[start : start + _AT_A_TIME]
            opened = list(pool.map(self._open, some, self._contents(some, contents)))
            images = [one for one in opened if isinstance(one, Decoded)]
            # The detector must run in one thread, so this one finds all faces.
            framed = self._faces(images) if images else []
            found = pool.map(_standardized, framed)
            for ref, one in zip(some, opened, strict=True):
                result = next(found) if isinstance(one, Decoded) else one
                if isinstance(result, Reason):
                    yield Failure(ref.image_id, ref.path, result)
                else:
                    yield result

    def _faces(self, images: Sequence[Decoded]) -> list[Crop | Reason]:
        scales = [one.scale for one in images]
        pixels = [one.pixels for one in images]
        return frame(self.crop_config, pixels, [None] * len(images), scales)

    @property
    def _is_dataset(self) -> bool:
        return isinstance(self.source, DatasetRecords)

    def _contents(
        self, refs: Sequence[Ref], contents: Iterator[bytes | Unreadable]
    ) -> Iterator[bytes | Unreadable]:
        for ref in refs:
            reason = reason_of(ref)
            yield Unreadable(reason) if reason else next(contents)

    def _open(self, ref: Ref, content: bytes | Unreadable) -> Standardized | Decoded | Reason:
        """A finished crop, or an image that the detector must crop, or a reason."""
        if isinstance(content, Unreadable):
            return content.reason
        try:
            decoded = decode(content)
            pixels = decoded.pixels
        except DecodeError as error:
            return error.reason
        if self._is_dataset:
            # The records of a dataset are crops already.
            if pixels.shape[:2] == (self.crop_config.size, self.crop_config.size):
                # A crop that ingest encoded must not be encoded a second time.
                return Standardized(content, Measures.of(Crop(pixels)))
            return _framed(CropConfig(self.crop_config.size, "none"), decoded, ref)
        if self.crop_config.align == "detect":
            return decoded
        return _framed(self.crop_config, decoded, ref)


class ReadImages(beam.PTransform):
    """(number, chunks of a chunk group) -> Batch, and list[Failure] under the tag "failed".

    The batches of a chunk group hold its readable images in the order of the listing; all but the
    last fill a whole number of the model's calls.

    Args:
        reader: reads the images.
        threads: threads that decode at the same time; never changes the result.
        batch_size: images in one call of the model.
    """

    def __init__(self, reader: Reader, threads: int, batch_size: int) -> None:
        super().__init__()
        self._fn = _Read(reader, threads, batch_size * max(1, CHUNK // batch_size))

    def expand(self, chunk_groups: beam.PCollection) -> Any:
        """Builds the graph."""
        return chunk_groups | "Read" >> beam.ParDo(self._fn).with_outputs(
            FAILED_TAG, main="batches"
        )


class _Read(beam.DoFn):
    def __init__(self, reader: Reader, threads: int, images: int) -> None:
        self._reader = reader
        self._threads = threads
        self._images = images

    def setup(self) -> None:
        prepare_process()
        # Pillow and OpenCV release the GIL, so threads use several cores.
        self._pool = ThreadPoolExecutor(self._threads)

    def teardown(self) -> None:
        self._pool.shutdown()

    def process(
        self, chunk_group: tuple[int, Iterable[Chunk]]
    ) -> Iterator[Batch | TaggedOutput[Literal["failed"], list[Failure]]]:
        chunks = sorted(chunk_group[1], key=lambda chunk: chunk.number)
        refs = [ref for chunk in chunks for ref in chunk.refs]
        batch = Batch([], [])
        failed: list[Failure] = []
        for ref, result in zip(refs, self._reader.read(refs, self._pool), strict=True):
            if isinstance(result, Failure):
                failed.append(result)
                continue
            batch.refs.append(ref)
            batch.images.append(result)
            if len(batch.refs) == self._images:
                yield batch
                batch = Batch([], [])
        if batch.refs:
            yield batch
        if failed:
            yield TaggedOutput(FAILED_TAG, failed)


def _framed(crop_config: CropConfig, decoded: Decoded, ref: Ref) -> Standardized | Reason:
    (framed,) = frame(crop_config, [decoded.pixels], [ref.landmarks], [decoded.scale])
    return _standardized(framed)


def _standardized(framed: Crop | Reason) -> Standardized | Reason:
    if isinstance(framed, Reason):
        return framed
    return Standardized(encode_jpeg(framed.pixels), Measures.of(framed))

"""Reads images for scoring: the same pixels that ingest would write for training."""

import dataclasses
import functools
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core import counters
from facemill.transforms.core.coders import register
from facemill.transforms.core.read_ahead import ahead
from facemill.transforms.core.reasons import Reason
from facemill.transforms.core.row_ids import CHUNK
from facemill.transforms.faces.crop import Crop, CropConfig, frame, frame_all_faces
from facemill.transforms.images.decode import Decoded, DecodeError, decode
from facemill.transforms.images.process import prepare_process
from facemill.transforms.images.resize import encode_jpeg
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scoring.known import known_photos
from facemill.transforms.scoring.rows import Failure, Measures, face_id
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.crops import DetectedCrops
from facemill.transforms.sources.dataset import DatasetRecords
from facemill.transforms.sources.missing_identity import reason_of

FAILED_TAG = "failed"
COUNTS_TAG = "counts"
# A counter: milliseconds that worker processes spend reading, decoding and framing.
READ_TIME = "read_ms"

_Item = TypeVar("_Item")

# Images that are decoded at a time: a detector is faster with many, and their pixels take memory.
_AT_A_TIME = 16
# Images of the first batch of a chunk group, about, for which the model must wait.
_FIRST = 64


@dataclass(frozen=True, slots=True)
class Standardized:
    """One image in the form that a model takes.

    Attributes:
        encoded: the crop as JPEG, RGB, with the bytes that ingest writes into a record.
        measures: the measures of the crop.
        sha256: of the bytes of the photo, 64 hexadecimal digits.
    """

    encoded: bytes
    measures: Measures
    sha256: str | None = None


@dataclass(frozen=True)
class Batch:
    """Images that are ready for a model.

    Attributes:
        refs: N references, those of faces with the image_ids of the faces.
        images: N images, in the same order.
    """

    refs: list[Ref]
    images: list[Standardized]


class Stopwatch:
    """Measures the time that an iterator takes, without that of whoever consumes it.

    Attributes:
        seconds: so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    @property
    def milliseconds(self) -> int:
        """The time so far."""
        return round(1000 * self.seconds)

    def timed(self, items: Iterator[_Item]) -> Iterator[_Item]:
        """The items."""
        while True:
            started = time.monotonic()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.seconds += time.monotonic() - started
            yield item


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """What became of some listed photos.

    Attributes:
        photos: those with an image for the model, or several.
        images: for the model.
        failures: images, or photos without one, that have a reason.
        failed_photos: photos of which no image is left for the model.
        unchanged: photos that were scored before, with the same content.
    """

    photos: int = 0
    images: int = 0
    failures: int = 0
    failed_photos: int = 0
    unchanged: int = 0


register(Batch, Failure, ReadCounts)


@dataclass(frozen=True)
class Reader:
    """Reads images in the form that a model takes.

    Attributes:
        source: the source of the images.
        crop_config: how an image becomes a crop, as in the training of the model.
        all_faces: whether each face that the detector finds is an image, or the chosen one alone.
        known: path of the file of `transforms.scoring.known`, whose photos are passed over as long
            as their content is the same; None if there is none.
    """

    source: Source
    crop_config: CropConfig
    all_faces: bool = False
    known: str | None = None

    def read(self, refs: Sequence[Ref], pool: Executor) -> Iterator[list[Standardized | Failure]]:
        """The images of each photo in the form that a model takes, in the order of the photos.

        An image that there is not, is a `Failure`. A photo that was scored before has no images.

        Args:
            refs: the photos.
            pool: threads that decode.

        Raises:
            RunError: a dataset is damaged.
        """
        holds = known_photos(self.known).holds if self.known else None
        contents = self.source.read([ref for ref in refs if not reason_of(ref)])
        for start in range(0, len(refs), _AT_A_TIME):
            some = refs[start : start + _AT_A_TIME]
            found = pool.map(
                functools.partial(self._open, holds), some, self._contents(some, contents)
            )
            opened, digests = zip(*found, strict=True)
            images = [one for one in opened if isinstance(one, Decoded)]
            # The detector must run in one thread, so this one finds all faces.
            framed = iter(self._faces(images) if images else [])
            of_each = [
                next(framed) if isinstance(one, Decoded) else [] if one is None else [one]
                for one in opened
            ]
            flat = pool.map(_standardized, [one for several in of_each for one in several])
            for ref, several, sha256 in zip(some, of_each, digests, strict=True):
                results = [next(flat) for _ in several]
                yield [
                    Failure(
                        self._id(ref, number if len(results) > 1 else None), ref.path, one, sha256
                    )
                    if isinstance(one, Reason)
                    else dataclasses.replace(one, sha256=sha256)
                    for number, one in enumerate(results)
                ]

    def _id(self, ref: Ref, number: int | None) -> str:
        """The image_id of a face, or of a photo of which there is no face, that cannot be used."""
        if number is None or not self.all_faces:
            return ref.image_id
        return face_id(ref.image_id, number)

    def _faces(self, images: Sequence[Decoded]) -> list[list[Crop | Reason]]:
        scales = [one.scale for one in images]
        pixels = [one.pixels for one in images]
        if self.all_faces:
            return frame_all_faces(self.crop_config, pixels, scales)
        return [[one] for one in frame(self.crop_config, pixels, [None] * len(images), scales)]

    @property
    def _holds_crops(self) -> bool:
        return isinstance(self.source, (DatasetRecords, DetectedCrops))

    def _contents(
        self, refs: Sequence[Ref], contents: Iterator[bytes | Unreadable]
    ) -> Iterator[bytes | Unreadable]:
        for ref in refs:
            reason = reason_of(ref)
            yield Unreadable(reason) if reason else next(contents)

    def _open(
        self,
        holds: Callable[[str, str], bool] | None,
        ref: Ref,
        content: bytes | Unreadable,
    ) -> tuple[Standardized | Decoded | Crop | Reason | None, str | None]:
        """What is to be done with a photo, and the SHA-256 of its bytes.

        Returns:
            A finished crop, or an image that the detector must crop, or a reason, or None for a
            photo that was scored before.
        """
        if isinstance(content, Unreadable):
            return content.reason, None
        sha256 = hashlib.sha256(content).hexdigest()
        if holds and holds(ref.image_id, sha256):
            return None, sha256
        try:
            decoded = decode(content)
            pixels = decoded.pixels
        except DecodeError as error:
            return error.reason, sha256
        if self._holds_crops:
            # The records of a dataset and detected faces are crops already.
            if pixels.shape[:2] == (self.crop_config.size, self.crop_config.size):
                # A crop that ingest encoded must not be encoded a second time.
                return Standardized(content, Measures.of(Crop(pixels))), sha256
            return _framed(CropConfig(self.crop_config.size, "none"), decoded, ref), sha256
        if self.crop_config.align == "detect":
            return decoded, sha256
        return _framed(self.crop_config, decoded, ref), sha256


class ReadImages(beam.PTransform):
    """(number, chunks of a chunk group) -> Batch; list[Failure] and ReadCounts under tags.

    The batches of a chunk group hold its readable images in the order of the listing; all but the
    last fill a whole number of the model's calls. The first one is small, so that the model can
    begin while the others are read.

    Args:
        reader: reads the images.
        threads: threads that decode at the same time; never changes the result.
        batch_size: images in one call of the model.
    """

    def __init__(self, reader: Reader, threads: int, batch_size: int) -> None:
        super().__init__()
        self._fn = _Read(reader, threads, batch_size)

    def expand(self, chunk_groups: beam.PCollection) -> Any:
        """Builds the graph."""
        return chunk_groups | "Read" >> beam.ParDo(self._fn).with_outputs(
            FAILED_TAG, COUNTS_TAG, main="batches"
        )


class _Read(beam.DoFn):
    def __init__(self, reader: Reader, threads: int, batch_size: int) -> None:
        self._reader = reader
        self._threads = threads
        self._first, self._images = (
            batch_size * max(1, images // batch_size) for images in (_FIRST, CHUNK)
        )

    def setup(self) -> None:
        prepare_process()
        # Pillow and OpenCV release the GIL, so threads use several cores.
        self._pool = ThreadPoolExecutor(self._threads)

    def teardown(self) -> None:
        self._pool.shutdown()

    def process(
        self, chunk_group: tuple[int, Iterable[Chunk]]
    ) -> Iterator[
        Batch
        | TaggedOutput[Literal["failed"], list[Failure]]
        | TaggedOutput[Literal["counts"], ReadCounts]
    ]:
        chunks = sorted(chunk_group[1], key=lambda chunk: chunk.number)
        refs = [ref for chunk in chunks for ref in chunk.refs]
        failed: list[Failure] = []
        counts = Counter[str]()
        watch = Stopwatch()
        # The next batch is read while the model, which Beam calls at each yield, has this one.
        yield from ahead(watch.timed(self._batches(refs, failed, counts)))
        if failed:
            yield TaggedOutput(FAILED_TAG, failed)
        # Beam's counters belong to this thread.
        counters.count(READ_TIME, watch.milliseconds)
        for code, count in Counter(one.reason.code.value for one in failed).items():
            counters.count(f"failed_{code}", count)
        yield TaggedOutput(COUNTS_TAG, ReadCounts(**counts, failures=len(failed)))

    def _batches(
        self, refs: Sequence[Ref], failed: list[Failure], counts: Counter[str]
    ) -> Iterator[Batch]:
        """The images of photos; failures and numbers of `ReadCounts` are added to the others."""
        batch, size = Batch([], []), self._first
        for ref, results in zip(refs, self._reader.read(refs, self._pool), strict=True):
            good = 0
            for number, one in enumerate(results):
                if isinstance(one, Failure):
                    failed.append(one)
                    continue
                good += 1
                batch.refs.append(self._named(ref, number))
                batch.images.append(one)
                if len(batch.refs) == size:
                    yield batch
                    batch, size = Batch([], []), self._images
            counts["images"] += good
            counts["photos"] += bool(good)
            counts["failed_photos"] += bool(results) and not good
            counts["unchanged"] += not results
        if batch.refs:
            yield batch

    def _named(self, ref: Ref, number: int) -> Ref:
        if not self._reader.all_faces:
            return ref
        return dataclasses.replace(ref, image_id=face_id(ref.image_id, number))


def _framed(crop_config: CropConfig, decoded: Decoded, ref: Ref) -> Crop | Reason:
    (framed,) = frame(crop_config, [decoded.pixels], [ref.landmarks], [decoded.scale])
    return framed


def _standardized(framed: Standardized | Crop | Reason) -> Standardized | Reason:
    if not isinstance(framed, Crop):
        return framed
    return Standardized(encode_jpeg(framed.pixels), Measures.of(framed))

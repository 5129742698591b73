"""Reading a collection once: validate, hash, standardize, stage."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import apache_beam as beam
import cv2
import numpy as np
from apache_beam.pvalue import TaggedOutput

from transforms import storage
from transforms.decode import MAX_BYTES, DecodeError, decode
from transforms.duplicates import hashing
from transforms.rows import DROPPED, REJECTED, Photo, Ref, Row
from transforms.staging import StagingWriter
from transforms.standardize import standardize

REJECTED_TAG = "rejected"
# What a row says before any decision was made; no row may leave a job with it.
_UNDECIDED = DROPPED

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Scan:
    """What reading one image gave.

    Attributes:
        row: its facts.
        dct_hash: 32 bytes.
        thumbnail: uint8 [32, 32, 3].
        encoded: the standardized JPEG.
        channel_mean: of the JPEG's decoded R, G, B, each in [0, 255].
        channel_square_mean: of their squares.
    """

    row: Row
    dct_hash: bytes
    thumbnail: np.ndarray
    encoded: bytes
    channel_mean: Rgb
    channel_square_mean: Rgb


def scan(root: str, ref: Ref, size: int, fraction: float) -> Scan | Row:
    """Reads one image; a `Row` with outcome `rejected` if it cannot be used.

    Args:
        root: the input directory.
        ref: the image.
        size: side of the standardized image in pixels.
        fraction: of the shorter side that the center crop keeps, in (0, 1].
    """
    if ref.reason:
        return Row(ref.image_id, ref.image_id, ref.identity, REJECTED, ref.reason)
    path = os.path.join(root, *ref.image_id.split("/"))
    try:
        length = os.stat(path).st_size
        # The limit holds before the bytes are in memory, not after.
        data = storage.read_bytes(path) if length <= MAX_BYTES else b""
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        return Row(ref.image_id, ref.image_id, ref.identity, REJECTED, reason)
    if length > MAX_BYTES:
        reason = f"file of {length} bytes is above the limit of {MAX_BYTES}"
        return Row(ref.image_id, ref.image_id, ref.identity, REJECTED, reason, bytes=length)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        decoded = decode(data)
    except DecodeError as error:
        return Row(
            image_id=ref.image_id,
            source=ref.image_id,
            identity=ref.identity,
            outcome=REJECTED,
            reason=str(error),
            bytes=len(data),
            sha256=sha256,
        )
    standard = standardize(decoded.pixels, size, fraction)
    mean, square_mean = _moments(standard.encoded)
    sharpness, brightness, contrast = _quality(standard.pixels)
    row = Row(
        image_id=ref.image_id,
        source=ref.image_id,
        identity=ref.identity,
        outcome=_UNDECIDED,
        reason="undecided",
        width=decoded.width,
        height=decoded.height,
        bytes=len(data),
        sha256=sha256,
        pixel_sha256=hashing.pixel_sha256(decoded.pixels),
        sharpness=sharpness,
        brightness=brightness,
        contrast=contrast,
    )
    return Scan(
        row=row,
        dct_hash=hashing.dct_hash(decoded.pixels),
        thumbnail=hashing.thumbnail(decoded.pixels),
        encoded=standard.encoded,
        channel_mean=mean,
        channel_square_mean=square_mean,
    )


class ScanImages(beam.PTransform):
    """list[Ref] -> list[Photo], and list[Row] of the rejected under the tag "rejected".

    Args:
        root: the input directory.
        folder: where staging files go.
        size: side of the standardized image in pixels.
        fraction: of the shorter side that the center crop keeps.
        threads: that decode at the same time in one worker process; never changes the result.
    """

    def __init__(self, root: str, folder: str, size: int, fraction: float, threads: int) -> None:
        super().__init__()
        self._fn = _ScanChunk(root, folder, size, fraction, threads)

    def expand(self, chunks: beam.PCollection) -> Any:
        """Builds the graph."""
        return chunks | "Read" >> beam.ParDo(self._fn).with_outputs(REJECTED_TAG, main="photos")


class _ScanChunk(beam.DoFn):
    def __init__(self, root: str, folder: str, size: int, fraction: float, threads: int) -> None:
        self._root = root
        self._folder = folder
        self._size = size
        self._fraction = fraction
        self._threads = threads

    def setup(self) -> None:
        # Pillow, OpenCV and hashlib work outside the interpreter's lock, so threads use the cores.
        self._pool = ThreadPoolExecutor(self._threads)

    def teardown(self) -> None:
        self._pool.shutdown()

    def process(
        self, refs: list[Ref]
    ) -> Iterable[list[Photo] | TaggedOutput[Literal["rejected"], list[Row]]]:
        photos, rejected = [], []
        with StagingWriter(self._folder, len(refs)) as staging:
            for result in self._pool.map(self._scan, refs):
                if isinstance(result, Row):
                    rejected.append(result)
                    continue
                staged = staging.add(result.thumbnail, result.encoded)
                photos.append(
                    Photo(
                        row=result.row,
                        staged=staged,
                        dct_hash=result.dct_hash,
                        channel_mean=result.channel_mean,
                        channel_square_mean=result.channel_square_mean,
                    )
                )
        if photos:
            yield photos
        if rejected:
            yield TaggedOutput(REJECTED_TAG, rejected)

    def _scan(self, ref: Ref) -> Scan | Row:
        return scan(self._root, ref, self._size, self._fraction)


def _moments(encoded: bytes) -> tuple[Rgb, Rgb]:
    """Channel means and square means of the pixels that a reader of the record will see."""
    pixels = decode(encoded).pixels.reshape(-1, 3)
    values = np.arange(256, dtype=np.float64)
    red, green, blue = (np.bincount(pixels[:, channel], minlength=256) for channel in range(3))

    def mean(weights: np.ndarray) -> Rgb:
        count = len(pixels)
        return (
            float(red @ weights / count),
            float(green @ weights / count),
            float(blue @ weights / count),
        )

    return mean(values), mean(values * values)


def _quality(pixels: np.ndarray) -> tuple[float, float, float]:
    """Sharpness (variance of the Laplacian), brightness and contrast of the grey image."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)
    return float(laplacian.var()), float(grey.mean()), float(grey.std())

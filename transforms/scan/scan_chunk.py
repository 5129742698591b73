"""The scan of a chunk: read, decode, crop, measure and hash each image, and stage the results.

No Beam here: worker processes import this module and must start quickly.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.reasons import BY_CLASS_SIZE, Reason, ReasonCode, reason_columns
from facemill.transforms.core.row_ids import NEW, origin_of_chunk, row_ids_of
from facemill.transforms.dataset.identity_filter import identity_key
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.dataset.outcomes import DROPPED
from facemill.transforms.dataset.records import Record
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.dataset.splits import SPLIT_REQUEST, split_requests
from facemill.transforms.faces.crop import Crop, CropConfig, frame
from facemill.transforms.images import crop_variants, perceptual_hash
from facemill.transforms.images.decode import Decoded, DecodeError, decode
from facemill.transforms.images.margins import flat_margins
from facemill.transforms.images.preview import preview
from facemill.transforms.images.process import prepare_process
from facemill.transforms.images.quality import (
    Quality,
    QualityThresholds,
    colorfulness,
    measure,
)
from facemill.transforms.images.resize import encode_jpeg
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.staging import write_chunk
from facemill.transforms.sources.base import Ref, Source, Unreadable

# One row for each usable image: the values that duplicate search, selection and splits need.
USABLE = np.dtype(
    [
        ("row_id", "<u8"),
        # Keyed hash of the identity's name, 0 for none. The name stays in the staging folder.
        ("identity", "<u8"),
        # Keyed hash of the image_id: it decides every random choice and the order of the records.
        ("order", "<u8"),
        # Keyed hash of the attribute by which the dataset is balanced; 0 where it is absent or
        # empty: these images belong to no class.
        ("group", "<u8"),
        # The first half of `pixel_sha256`.
        ("pixels", "<u8", (2,)),
        ("fingerprint", "u1", (perceptual_hash.HASH_BYTES,)),
        ("sharpness", "<f4"),
        # Index in SPLITS of the split that the source requests, or -1.
        ("split", "<i1"),
    ]
)
# One row for each image of a base or held-out set that is not usable: its identity, and the hash of
# its pixels where the set has it.
UNUSABLE = np.dtype(
    [
        *((name, USABLE[name]) for name in ("row_id", "identity", "order", "pixels")),
        # Whether it counts as an image of its identity: true if only a balance rule dropped it.
        ("counts", "?"),
    ]
)

Rgb = tuple[float, float, float]

# Limits of a batch: a detector is faster with many images, and their pixels take memory.
_BATCH_PIXELS = 16 << 20
_BATCH_IMAGES = 32


@dataclass(frozen=True)
class ScanJob:
    """The settings that all chunks of a run share.

    Attributes:
        source: the source of the images.
        staging: the staging folder.
        crop_config: how an image becomes a crop.
        thresholds: the quality below which an image is rejected.
        seed: the seed of the keyed hashes.
        group_by: the attribute by which the dataset is balanced, or None.
        windows: whether to hash each crop's windows, which the `thorough` duplicate search needs.
    """

    source: Source
    staging: str
    crop_config: CropConfig
    thresholds: QualityThresholds
    seed: int
    group_by: str | None = None
    windows: bool = False


@dataclass(frozen=True)
class Scanned:
    """The result of scanning a chunk, which later stages read.

    Attributes:
        chunk: the number of the chunk.
        count: the number of its images, usable or not.
        usable: USABLE [M].
        windows: uint8 [M, WINDOW_BYTES], or [M, 0] if `ScanJob.windows` is false.
        split_requests: SPLIT_REQUEST [K], the split requests of images that are not usable.
        unusable: UNUSABLE [L], the other images of a base or held-out set; empty for the input,
            whose unusable images affect no decision.
        rejected: how many images of the input have each reason code; for counters that are shown
            while the job runs, and not encoded.
    """

    chunk: int
    count: int
    usable: np.ndarray
    windows: np.ndarray
    split_requests: np.ndarray = field(default_factory=lambda: np.zeros(0, SPLIT_REQUEST))
    unusable: np.ndarray = field(default_factory=lambda: np.zeros(0, UNUSABLE))
    rejected: Mapping[str, int] = field(default_factory=dict, compare=False)


def scan_chunk(job: ScanJob, chunk: int, refs: Sequence[Ref]) -> Scanned:
    """Reads the images of a chunk and writes its staging files.

    Args:
        job: see `ScanJob`.
        chunk: the number of the chunk.
        refs: the images of the chunk.
    """
    prepare_process()
    metadata: list[dict[str, Any]] = []
    pixels: list[tuple[np.ndarray, bytes | None] | None] = []
    usable = np.zeros(len(refs), USABLE)
    windows = np.zeros((len(refs), crop_variants.WINDOW_BYTES if job.windows else 0), np.uint8)
    good = np.zeros(len(refs), bool)
    for row, (ref, result) in enumerate(_inspect(job, refs)):
        listed = {
            "image_id": ref.image_id,
            "source": ref.path,
            "identity": ref.identity,
            "identity_source": ref.identity_source,
            "attributes": list(ref.attributes),
            "outcome": ref.outcome or None,
            "duplicate_of": ref.duplicate_of,
        }
        metadata.append({**listed, **reason_columns(result.reason), **result.metadata})
        if result.crop is None:
            pixels.append(None if result.preview is None else (result.preview, None))
            continue
        good[row] = True
        encoded = encode_jpeg(result.crop)
        mean, square_mean = _moments(result.crop)
        metadata[-1] |= {"channel_mean": mean, "channel_square_mean": square_mean}
        small = perceptual_hash.small(result.crop)
        fingerprint = perceptual_hash.dct_hash(small)
        metadata[-1]["fingerprint"] = fingerprint
        record = Record(ref.image_id, ref.identity or "", encoded, mean, square_mean)
        pixels.append((perceptual_hash.grey_thumbnail(small), record.to_example()))
        if job.windows:
            windows[row] = np.frombuffer(crop_variants.window_hashes(small), np.uint8)
        one = usable[row]
        one["identity"] = identity_key(job.seed, ref.identity)
        one["order"] = keyed_hash(job.seed, "order", ref.image_id)
        one["group"] = _group(job, ref)
        one["pixels"] = _pixel_key(result.metadata["pixel_sha256"])
        one["fingerprint"] = np.frombuffer(fingerprint, np.uint8)
        one["sharpness"] = result.metadata["sharpness"]
        one["split"] = _split(ref)
    usable["row_id"] = row_ids_of(chunk, len(refs))
    write_chunk(job.staging, chunk, pa.Table.from_pylist(metadata, METADATA), pixels)
    requests = _split_requests(job, [ref for ref, fine in zip(refs, good, strict=True) if not fine])
    bad = [] if origin_of_chunk(chunk) == NEW else np.flatnonzero(~good).tolist()
    unusable = np.zeros(len(bad), UNUSABLE)
    for one, row in zip(unusable, bad, strict=True):
        _describe(job, refs[row], metadata[row].get("pixel_sha256"), one)
    unusable["row_id"] = usable["row_id"][bad]
    is_new = origin_of_chunk(chunk) == NEW
    codes = Counter(row["reason_code"] for row in metadata if is_new and row["reason_code"])
    return Scanned(chunk, len(refs), usable[good], windows[good], requests, unusable, codes)


def _describe(job: ScanJob, ref: Ref, pixel_sha256: str | None, row: np.void) -> None:
    """Fills all fields of a row of UNUSABLE but `row_id`."""
    row["identity"] = identity_key(job.seed, ref.identity)
    row["order"] = keyed_hash(job.seed, "order", ref.image_id)
    if pixel_sha256 is not None:
        row["pixels"] = _pixel_key(pixel_sha256)
    row["counts"] = (
        ref.outcome == DROPPED and ref.reason is not None and ref.reason.code in BY_CLASS_SIZE
    )


def _pixel_key(pixel_sha256: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(pixel_sha256)[:16], "<u8")


def scan_packed(job: ScanJob, chunk: Chunk) -> Scanned:
    """Calls `scan_chunk` in a worker process, which unpacks the references."""
    return scan_chunk(job, chunk.number, chunk.refs)


@dataclass(frozen=True)
class _Inspected:
    """The result for one image: its metadata, and its crop or the reason why it has none.

    Where the reason is that no face was found, `preview` shows people the photo: uint8 [64, 64].
    """

    metadata: dict[str, Any]
    reason: Reason | None = None
    crop: np.ndarray | None = None
    preview: np.ndarray | None = None


def _inspect(job: ScanJob, refs: Sequence[Ref]) -> Iterator[tuple[Ref, _Inspected]]:
    """Each image with its result, in order; images are decoded in batches of bounded size."""
    readable = [ref for ref in refs if not ref.reason]
    contents = iter(job.source.read(readable))
    batch: list[tuple[Ref, _Inspected, Decoded | None]] = []
    waiting = 0
    for ref in refs:
        seen, decoded = _open(job, ref, Unreadable(ref.reason) if ref.reason else next(contents))
        batch.append((ref, seen, decoded))
        waiting += 0 if decoded is None else decoded.pixels.size // 3
        if waiting >= _BATCH_PIXELS or len(batch) == _BATCH_IMAGES:
            yield from _framed(job, batch)
            batch, waiting = [], 0
    yield from _framed(job, batch)


def _open(job: ScanJob, ref: Ref, content: bytes | Unreadable) -> tuple[_Inspected, Decoded | None]:
    metadata: dict[str, Any]
    if isinstance(content, Unreadable):
        metadata = {} if ref.pixel_sha256 is None else {"pixel_sha256": ref.pixel_sha256}
        return _Inspected(metadata, content.reason), None
    metadata = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    try:
        decoded = decode(content)
    except DecodeError as error:
        return _Inspected(metadata, error.reason), None
    metadata |= {
        "width": decoded.width,
        "height": decoded.height,
        "pixel_sha256": ref.pixel_sha256 or _pixel_sha256(job, ref, decoded),
        "border": flat_margins(decoded.pixels),
    }
    return _Inspected(metadata), decoded


def _pixel_sha256(job: ScanJob, ref: Ref, decoded: Decoded) -> str:
    """The hash that exact duplicates share: of the pixels, and of the landmarks that select a face.

    A detector finds the same face in equal pixels. Landmarks of the source may select different
    faces of one group photo: these are two people, and neither duplicates nor a conflict.
    """
    digest = perceptual_hash.pixel_sha256(decoded.pixels)
    if job.crop_config.align != "landmarks" or ref.landmarks is None:
        return digest
    points = " ".join(str(round(number)) for number in ref.landmarks)
    return hashlib.sha256(f"{digest} {points}".encode("ascii")).hexdigest()


def _framed(
    job: ScanJob, batch: Sequence[tuple[Ref, _Inspected, Decoded | None]]
) -> Iterator[tuple[Ref, _Inspected]]:
    good = [(ref, decoded) for ref, _, decoded in batch if decoded is not None]
    crops = iter(
        frame(
            job.crop_config,
            [decoded.pixels for _, decoded in good],
            [ref.landmarks for ref, _ in good],
            [decoded.scale for _, decoded in good],
        )
    )
    for ref, seen, decoded in batch:
        if decoded is None:
            yield ref, seen
            continue
        framed = next(crops)
        if isinstance(framed, Reason):
            faceless = framed.code == ReasonCode.NO_FACE
            shown = preview(decoded.pixels, perceptual_hash.SMALL_SIDE) if faceless else None
            yield ref, _Inspected(seen.metadata, framed, preview=shown)
            continue
        yield ref, _measured(job, seen, framed)


def _measured(job: ScanJob, seen: _Inspected, framed: Crop) -> _Inspected:
    quality: Quality = measure(framed.pixels)
    metadata = {
        **seen.metadata,
        "sharpness": quality.sharpness,
        "brightness": quality.brightness,
        "contrast": quality.contrast,
        "colorfulness": colorfulness(framed.pixels),
        "faces": framed.faces,
        "face_score": framed.score,
        "face_box": framed.box,
    }
    reason = job.thresholds.why_rejected(quality)
    return _Inspected(metadata, reason, None if reason else framed.pixels)


def _group(job: ScanJob, ref: Ref) -> int:
    if job.group_by is None:
        return 0
    value = dict(ref.attributes).get(job.group_by, "")
    return keyed_hash(job.seed, "group", value) if value else 0


def _split_requests(job: ScanJob, refs: Sequence[Ref]) -> np.ndarray:
    identities = [identity_key(job.seed, ref.identity) for ref in refs]
    return split_requests(
        np.array(identities, np.uint64), np.array(list(map(_split, refs)), np.int8)
    )


def _split(ref: Ref) -> int:
    return -1 if ref.split is None else SPLITS.index(ref.split)


def _moments(pixels: np.ndarray) -> tuple[Rgb, Rgb]:
    """Means and square means of R, G and B of uint8 [S, S, 3]."""
    mean, deviation = (values[:, 0] for values in cv2.meanStdDev(pixels))
    square_mean = deviation**2 + mean**2
    return (
        (float(mean[0]), float(mean[1]), float(mean[2])),
        (float(square_mean[0]), float(square_mean[1]), float(square_mean[2])),
    )

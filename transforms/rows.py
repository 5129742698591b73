"""What is known of one image while it passes through a job: small rows, never pixels."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

KEPT = "kept"
DUPLICATE = "duplicate"
CONFLICT = "conflict"
REJECTED = "rejected"
DROPPED = "dropped"
OUTCOMES = (KEPT, DUPLICATE, CONFLICT, REJECTED, DROPPED)

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Ref:
    """One listed image.

    Attributes:
        image_id: stable key, '/'-separated path relative to the input.
        identity: whose face it is, or None where the source does not say.
        reason: why it cannot be used, when the listing knows that already; else "".
    """

    image_id: str
    identity: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the index; the names are the index's columns.

    Attributes:
        image_id: stable key.
        source: where the bytes came from, relative to the input.
        identity: whose face it is, or None.
        outcome: one of OUTCOMES.
        reason: why it is not kept; "" when kept.
        duplicate_of: image_id of the same picture, or None.
        split: "train", "val", "test", or None.
        shard: path of the shard relative to the dataset, or None.
        position: place in the shard from 0 on, or None.
        width: pixels of the upright image, or None when it was not decoded.
        height: see width.
        bytes: size of the file, or None when it could not be read.
        sha256: hex, of the file.
        pixel_sha256: hex, of the decoded pixels and their shape.
        sharpness: variance of the Laplacian of the standardized grey image.
        brightness: mean of it, in [0, 255].
        contrast: standard deviation of it.
    """

    image_id: str
    source: str
    identity: str | None
    outcome: str
    reason: str = ""
    duplicate_of: str | None = None
    split: str | None = None
    shard: str | None = None
    position: int | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    pixel_sha256: str | None = None
    sharpness: float | None = None
    brightness: float | None = None
    contrast: float | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """Where the first reader put what later stages need of an image.

    Attributes:
        file: path of the staging file.
        offset: of the thumbnail; the JPEG follows it.
        length: of the JPEG in bytes.
    """

    file: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded image on its way through the decisions.

    Attributes:
        row: its index row so far.
        staged: where its thumbnail and JPEG lie.
        dct_hash: 32 bytes, see `transforms.duplicates.hashing`.
        channel_mean: of the JPEG's decoded R, G, B, each in [0, 255].
        channel_square_mean: of their squares.
    """

    row: Row
    staged: Staged
    dct_hash: bytes
    channel_mean: tuple[float, float, float]
    channel_square_mean: tuple[float, float, float]


def partition(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items by key, so that a chunk travels as one element per key and not one per image."""
    parts: dict[Key, list[Item]] = {}
    for item in items:
        parts.setdefault(key(item), []).append(item)
    return parts

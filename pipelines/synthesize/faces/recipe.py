"""What a synthetic collection consists of. Light: it is read before any picture is drawn."""

from __future__ import annotations

import dataclasses

COPY_KINDS = ("copy", "reencode", "resize", "brighten", "crop", "mirror", "conflict")
"""Made from another picture of the collection."""

FRESH_KINDS = ("mislabel", "wrong-extension", "cmyk", "16-bit", "alpha", "exif-rotated")
"""A picture that exists nowhere else in the collection, in an odd place or an odd format."""

BROKEN_KINDS = ("truncated", "not-an-image", "zero-bytes", "bomb")
"""What no decoder may accept."""

KINDS = COPY_KINDS + FRESH_KINDS + BROKEN_KINDS
ORIGINAL = "original"

MAX_SEED = 2**64 - 1
MAX_IDENTITY = 2**32 - 1
MAX_IMAGES = 2**20
"""Images of one identity; indexes from there on are for planted pictures."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that decides the bytes of a synthetic collection.

    Attributes:
        identities: How many, 1 or more.
        images_per_identity: How many original images each has; with `long_tail`, the most it has.
        long_tail: None for the same number each. Otherwise an identity has
            max(1, ceil(images_per_identity * u ** long_tail)) images, u uniform in [0, 1): the
            greater the exponent, the more identities have one image.
        image_size: Side in pixels, 16 to 2048.
        seed: Which population, 0 to 2**64 - 1.
        start_identity: Index of the first identity. Collections of one seed whose ranges do not
            meet share nobody.
        quality: Of the JPEGs, 1 to 100.
        plants: How many files of each kind of `KINDS` to add to the original images.
        pairs: Folds and pairs (genuine, and as many impostor) per fold, or None for no pairs.
    """

    identities: int
    images_per_identity: int
    long_tail: float | None = None
    image_size: int = 112
    seed: int = 0
    start_identity: int = 1
    quality: int = 92
    plants: dict[str, int] = dataclasses.field(default_factory=dict)
    pairs: tuple[int, int] | None = None


def identity_name(index: int) -> str:
    """Returns the folder of an identity, such as "id00007"."""
    return f"id{index:05d}"


def file_name(identity: int, number: int, extension: str = ".jpg") -> str:
    """Returns an image's path below `images/`, named as LFW names them."""
    name = identity_name(identity)
    return f"{name}/{name}_{number:04d}{extension}"

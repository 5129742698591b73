"""The recipe of a synthetic collection; imports nothing heavy, since `--help` reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option
from facemill.transforms.images.limits import MIN_SIDE

COPY_KINDS = ("copy", "reencode", "resize", "brighten", "crop", "mirror", "conflict")
"""Made from another image of the collection."""

FRESH_KINDS = ("mislabel", "wrong-extension", "cmyk", "16-bit", "alpha", "exif-rotated")
"""A new image of the collection, in a wrong folder or in an unusual format."""

BROKEN_KINDS = ("truncated", "not-an-image", "zero-bytes", "bomb")
"""What no decoder may accept."""

KINDS = COPY_KINDS + FRESH_KINDS + BROKEN_KINDS
ORIGINAL = "original"

MAX_SEED = 2**64 - 1
MAX_IDENTITY = 2**32 - 1
MAX_IMAGES = 2**20
"""Images of one identity; indexes from there on are for planted images."""

_ADVICE = "give a number in this range"


def parse_plants(texts: Sequence[str]) -> dict[str, int]:
    """The count of each kind from texts such as "mirror=5", in the order of KINDS.

    Raises:
        UsageError: one is no kind and count, or a kind comes twice.
    """
    counts: dict[str, int] = {}
    for text in texts:
        kind, _, number = text.partition("=")
        if kind not in KINDS or not _is_number(number):
            raise UsageError(
                f"--plant must be KIND=COUNT, got {text!r}; kinds are {', '.join(KINDS)}."
            )
        if kind in counts:
            raise UsageError(f"--plant must name a kind once, got {kind} twice; add the counts.")
        counts[kind] = int(number)
    return {kind: counts[kind] for kind in KINDS if kind in counts}


def parse_pairs(text: str) -> tuple[int, int]:
    """Folds and pairs per fold from a text such as "10x300".

    Raises:
        UsageError: it is not two numbers.
    """
    folds, _, pairs = text.partition("x")
    if not (_is_number(folds) and _is_number(pairs)):
        raise UsageError(f"--pairs must be FOLDSxPAIRS, got {text!r}; for example 10x300.")
    return int(folds), int(pairs)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All values that decide the bytes of a synthetic collection.

    The command checks the ranges; see `pipelines.synthesize.options`.
    """

    identities: int = option(
        100, least=1, most=MAX_IDENTITY, advice=_ADVICE, help="how many identities"
    )
    # Below MAX_IMAGES are the indexes of original images, above it those of planted images.
    images_per_identity: int = option(
        20, least=1, most=MAX_IMAGES - 1, advice=_ADVICE, help="original images of each"
    )
    # An identity has max(1, ceil(images_per_identity * u ** long_tail)) images, u uniform in
    # [0, 1); None for the same number each.
    long_tail: float | None = option(
        None,
        above=0,
        most=100,
        advice="2 is a moderate tail",
        metavar="EXPONENT",
        help="give an identity 1 to --images-per-identity images, ceil(most * u^EXPONENT) with u "
        "uniform: the greater, the more identities have a single image",
    )
    image_size: int = option(112, least=MIN_SIDE, most=2048, advice=_ADVICE, help="side in pixels")
    seed: int = option(
        0, least=0, most=MAX_SEED, advice=_ADVICE, help="another seed is another population"
    )
    start_identity: int = option(
        1,
        help="index of the first identity; ranges of one seed that do not meet share nobody",
    )
    quality: int = option(92, least=1, most=100, advice=_ADVICE, help="JPEG quality")
    plants: dict[str, int] = option(
        factory=dict,
        parse=parse_plants,
        repeated=True,
        flag="plant",
        metavar="KIND=COUNT",
        help=f"add files of a kind, listed in truth.parquet; repeatable; {', '.join(KINDS)}",
    )
    # Folds, and pairs per fold.
    pairs: tuple[int, int] | None = option(
        None,
        parse=parse_pairs,
        metavar="FOLDSxPAIRS",
        help="write pairs.txt as LFW's View 2 has it, such as 10x300: so many genuine and as many "
        "impostor pairs per fold, of the original images",
    )


def identity_name(index: int) -> str:
    """Returns the folder of an identity, such as "id00007"."""
    return f"id{index:05d}"


def file_name(identity: int, number: int, extension: str = ".jpg") -> str:
    """Returns an image's path below `images/`, named as LFW names them."""
    name = identity_name(identity)
    return f"{name}/{name}_{number:04d}{extension}"

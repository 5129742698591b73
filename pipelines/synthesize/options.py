"""Options of `facemill synthesize`."""

import argparse
import dataclasses

from facemill.pipelines.synthesize.faces.recipe import (
    KINDS,
    MAX_IDENTITY,
    MAX_IMAGES,
    MAX_SEED,
    Recipe,
)
from facemill.transforms.core import cores
from facemill.transforms.core.errors import UsageError

SUMMARY = "draw labeled synthetic faces, which show nobody, with known truth"
TAKES_BEAM_OPTIONS = False


@dataclasses.dataclass(frozen=True)
class SynthesizeOptions:
    """What one collection is to be.

    Attributes:
        output: directory of the collection.
        recipe: what it consists of.
        workers: processes; never changes a byte. By default one for each core.
    """

    output: str
    recipe: Recipe
    workers: int = dataclasses.field(default_factory=cores.usable)

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        recipe = self.recipe
        _check("--identities", recipe.identities, 1, MAX_IDENTITY)
        # Below it are the indexes of original images, above it those of planted pictures.
        _check("--images-per-identity", recipe.images_per_identity, 1, MAX_IMAGES - 1)
        _check("--image-size", recipe.image_size, 16, 2048)
        _check("--seed", recipe.seed, 0, MAX_SEED)
        _check("--start-identity", recipe.start_identity, 1, MAX_IDENTITY - recipe.identities)
        _check("--quality", recipe.quality, 1, 100)
        _check("--workers", self.workers, 1, 1024)
        if recipe.long_tail is not None and not 0 < recipe.long_tail <= 100:
            raise UsageError(
                f"--long-tail must be above 0 and at most 100, got {recipe.long_tail:g}; "
                "2 is a moderate tail."
            )
        for kind, count in recipe.plants.items():
            _check(f"--plant {kind}", count, 1, MAX_IMAGES)
        if recipe.pairs is not None:
            _check("the folds of --pairs", recipe.pairs[0], 1, 10_000)
            _check("the pairs per fold of --pairs", recipe.pairs[1], 1, 1_000_000)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(
            f"{name} must be {low} to {high}, got {value}; give a number in this range."
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command; their defaults make a small collection in a few seconds."""
    add = parser.add_argument
    add("--output", required=True, help="directory of the collection; its images/ can be ingested")
    add("--identities", type=int, default=100, help="how many identities")
    add("--images-per-identity", type=int, default=20, help="original images of each")
    add(
        "--long-tail",
        type=float,
        metavar="EXPONENT",
        help="give an identity 1 to --images-per-identity images, ceil(most * u^EXPONENT) with u "
        "uniform: the greater, the more identities have a single image",
    )
    add("--image-size", type=int, default=112, help="side in pixels")
    add("--seed", type=int, default=0, help="another seed is another population")
    add(
        "--start-identity",
        type=int,
        default=1,
        help="index of the first identity; ranges of one seed that do not meet share nobody",
    )
    add("--workers", type=int, default=cores.usable(), help="processes")
    add("--quality", type=int, default=92, help="JPEG quality")
    add(
        "--plant",
        action="append",
        default=[],
        metavar="KIND=COUNT",
        help=f"add files of a kind, listed in truth.parquet; repeatable; {', '.join(KINDS)}",
    )
    add(
        "--pairs",
        metavar="FOLDSxPAIRS",
        help="write pairs.txt as LFW's View 2 has it, such as 10x300: so many genuine and as many "
        "impostor pairs per fold, of the original images",
    )


def from_arguments(namespace: argparse.Namespace) -> SynthesizeOptions:
    """The options of parsed flags.

    Raises:
        UsageError: a flag is malformed or out of its range.
    """
    return SynthesizeOptions(
        output=namespace.output,
        recipe=Recipe(
            identities=namespace.identities,
            images_per_identity=namespace.images_per_identity,
            long_tail=namespace.long_tail,
            image_size=namespace.image_size,
            seed=namespace.seed,
            start_identity=namespace.start_identity,
            quality=namespace.quality,
            plants=parse_plants(namespace.plant),
            pairs=None if namespace.pairs is None else parse_pairs(namespace.pairs),
        ),
        workers=namespace.workers,
    )


def parse_plants(texts: list[str]) -> dict[str, int]:
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

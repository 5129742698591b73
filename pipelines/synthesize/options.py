"""Options of `facemill synthesize`."""

import dataclasses

from facemill.pipelines.common.options import check
from facemill.pipelines.synthesize.faces.recipe import MAX_IDENTITY, MAX_IMAGES, Recipe
from facemill.transforms.core import cores
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option

SUMMARY = "draw labeled synthetic faces, which show nobody, with known truth"
TAKES_BEAM_OPTIONS = False

_ADVICE = "give a number in this range"


@dataclasses.dataclass(frozen=True)
class SynthesizeOptions:
    """What one collection is to be; the defaults make a small one in a few seconds."""

    output: str = option(help="directory of the collection; its images/ can be ingested")
    # What the collection consists of: its fields have flags of their own.
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    # Never changes a byte.
    workers: int = option(
        factory=cores.usable, least=1, most=1024, advice=_ADVICE, help="processes"
    )

    def __post_init__(self) -> None:
        """Checks each value, and those that must fit each other.

        Raises:
            UsageError: names the flag and what was got.
        """
        recipe = self.recipe
        check(recipe)
        check(self)
        _check("--start-identity", recipe.start_identity, MAX_IDENTITY - recipe.identities)
        for kind, count in recipe.plants.items():
            _check(f"--plant {kind}", count, MAX_IMAGES)
        if recipe.pairs is not None:
            _check("the folds of --pairs", recipe.pairs[0], 10_000)
            _check("the pairs per fold of --pairs", recipe.pairs[1], 1_000_000)


def _check(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise UsageError(f"{name} must be 1 to {most}, got {value}; {_ADVICE}.")


OPTIONS = SynthesizeOptions

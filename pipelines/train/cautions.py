"""Settings of a training run that are most often mistakes, and sentences with flags in them."""

import dataclasses

from facemill.model.recipes.choices import NEED_PAIRS
from facemill.model.recipes.margins import MARGINS
from facemill.model.recipes.recipe import Recipe
from facemill.pipelines.common import flags
from facemill.pipelines.train.options import TrainOptions
from facemill.transforms.core.fields import option_of

_ARCFACE = MARGINS["arcface"]
# In what a head takes its margin, where that is not ArcFace's radians alone.
_UNITS = {
    "cosface": "in cosine",
    "adaface": "as angle and cosine at once",
    "combined": "as m2 beside m3",
    "triplet": "in squared distance",
}


def cautions(recipe: Recipe, steps: int, warmup: int) -> list[str]:
    """Sentences about such settings.

    Args:
        recipe: of the run.
        steps: of the run.
        warmup: steps in which the learning rate rises.
    """
    found = []
    if warmup >= steps > 1:
        found.append(
            f"The learning rate rises over {warmup:,} steps, and the run has {steps:,}: it ends "
            "before the rate is reached; lower --warmup-epochs or train longer."
        )
    if recipe.head in _UNITS and recipe.margin == _ARCFACE:
        usual = MARGINS[recipe.head]
        found.append(
            f"--margin {_ARCFACE} is usual for arcface, which takes it in radians; {recipe.head} "
            f"takes it {_UNITS[recipe.head]}, where {usual} is usual; give --margin {usual}."
        )
    if recipe.head in NEED_PAIRS and recipe.images_per_identity < 2:
        found.append(
            f"{recipe.head} compares several images of one identity in a batch, and batches of any "
            "images hold few; give --images-per-identity 4."
        )
    return found


def repeats(recipe: Recipe, records: int, identities: int) -> list[str]:
    """A sentence about balanced batches that show most images several times at once.

    Args:
        recipe: of the run.
        records: of the train split.
        identities: of the train split.
    """
    count = recipe.images_per_identity
    if count * identities < 2 * records:
        return []
    mean = records / identities
    return [
        f"--images-per-identity {count} is far more than the {mean:.3g} images that an identity "
        "has on average: batches show the same images again, with another augmentation; give "
        f"--images-per-identity {max(2, round(mean))}."
    ]


def with_flags(text: str) -> str:
    """A sentence of the library with flags in place of the recipe's fields in back quotes."""
    (recipe,) = (one for one in dataclasses.fields(TrainOptions) if one.name == "recipe")
    how = option_of(recipe)
    return flags.with_flags(text, how.inner_flags if how else {})

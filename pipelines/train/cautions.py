"""Settings of a training run that are most often mistakes."""

from facemill.model.recipes.recipe import Recipe

# The default margin is ArcFace's, an angle; CosFace's paper takes 0.35, a cosine.
_ARCFACE, _COSFACE = 0.5, 0.35


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
    if recipe.head == "cosface" and recipe.margin == _ARCFACE:
        found.append(
            f"--margin {_ARCFACE} is usual for arcface, which takes it in radians; cosface takes "
            f"it in cosine, where {_COSFACE} is usual; give --margin {_COSFACE}."
        )
    return found

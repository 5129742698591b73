"""Heads by name."""

from collections.abc import Callable

import tensorflow as tf

from facemill.model.heads import distillation, penalties
from facemill.model.heads.adaface import AdaFace
from facemill.model.heads.base import Head
from facemill.model.heads.margin import Margin, Penalty
from facemill.model.heads.sampling import Sample
from facemill.model.heads.siamese import Siamese
from facemill.model.heads.softmax import Softmax
from facemill.model.heads.taught import Taught
from facemill.model.heads.triplet import Triplet
from facemill.model.recipes.choices import PARTS, TAUGHT
from facemill.model.recipes.margins import margin_of
from facemill.model.recipes.recipe import Recipe
from facemill.model.recipes.teachers import check_teacher
from facemill.transforms.core.errors import ParameterError


def build(recipe: Recipe, classes: int, target_size: int | None = None) -> Head:
    """The head of a recipe; its `build` creates the weights, from Keras's current seed.

    Args:
        recipe: its head and the options of heads are used.
        classes: number of identities.
        target_size: length of the teacher's embeddings, or None without a teacher.

    Raises:
        ParameterError: the head needs a teacher, or the teacher a weight.
    """
    check_teacher(recipe, target_size is not None)
    if target_size is None:
        return _of_identities(recipe, classes)
    if recipe.head in TAUGHT:
        return Taught(teaching(recipe.head), target_size)
    head = _of_identities(recipe, classes)
    return Taught(teaching(recipe.teacher_loss), target_size, head, recipe.teacher_weight)


def _of_identities(recipe: Recipe, classes: int) -> Head:
    margin = margin_of(recipe.head, recipe.margin)
    return _BUILDERS[recipe.head](recipe, classes, margin)


def check_replicas(recipe: Recipe, replicas: int) -> None:
    """Refuses what a head cannot do with several replicas.

    Raises:
        ParameterError: AdaFace would gather lengths from all replicas inside the loop over the
            parts of a batch, which TensorFlow cannot do.
    """
    if recipe.head == "adaface" and recipe.accumulate > 1 and replicas > 1:
        raise ParameterError(
            "accumulate",
            recipe.accumulate,
            must="be 1 with the head adaface and several replicas "
            f"({replicas}), which share the lengths of embeddings in each step",
            do="leave it out, or take one replica or another head",
        )


def teaching(name: str) -> Head:
    """A head that learns from a teacher's embeddings.

    Args:
        name: `mse` or `cosine`.
    """
    losses = {"mse": distillation.mean_squared_error, "cosine": distillation.cosine_distance}
    return distillation.Distillation(name, losses[name])


def _adaface(recipe: Recipe, classes: int, margin: float) -> Head:
    return AdaFace(
        classes,
        recipe.scale,
        margin,
        recipe.norm_concentration,
        smoothing=recipe.label_smoothing,
        sample=_sample(recipe),
        parts=PARTS.get(recipe.network, 1),
    )


def _combined(recipe: Recipe, classes: int, margin: float) -> Head:
    def penalty(cosine: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        multiplier, cosine_margin = recipe.margin_multiplier, recipe.margin_cosine
        return penalties.combined(cosine, multiplier, margin, cosine_margin, share)

    return _margin(recipe, classes, penalty)


def _simple(
    penalize: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], has_sub_centers: bool = False
) -> Callable[[Recipe, int, float], Head]:
    def build_one(recipe: Recipe, classes: int, margin: float) -> Head:
        sub_centers = recipe.sub_centers if has_sub_centers else 1
        return _margin(
            recipe, classes, lambda cosine, share: penalize(cosine, share * margin), sub_centers
        )

    return build_one


def _margin(recipe: Recipe, classes: int, penalty: Penalty, sub_centers: int = 1) -> Head:
    return Margin(
        classes,
        recipe.scale,
        penalty,
        sub_centers=sub_centers,
        smoothing=recipe.label_smoothing,
        sample=_sample(recipe),
        parts=PARTS.get(recipe.network, 1),
    )


def _sample(recipe: Recipe) -> Sample | None:
    if recipe.sample_identities == 1:
        return None
    return Sample(recipe.sample_identities, recipe.seed)


_BUILDERS: dict[str, Callable[[Recipe, int, float], Head]] = {
    "softmax": lambda recipe, classes, margin: Softmax(classes, recipe.label_smoothing),
    "arcface": _simple(penalties.arcface),
    "cosface": _simple(penalties.cosface),
    "adaface": _adaface,
    "subcenter": _simple(penalties.arcface, has_sub_centers=True),
    "combined": _combined,
    "triplet": lambda recipe, classes, margin: Triplet(classes, margin),
    "siamese": lambda recipe, classes, margin: Siamese(classes),
}

"""The random numbers of a record: they follow from epoch, image_id and copy, not from its place."""

import tensorflow as tf

from facemill.model.recipes.recipe import Recipe

# How many numbers each family of operations takes.
FLIP_AND_CROP, COLOR_JITTER, ERASE = 4, 5, 6
ROTATE, COLOR, QUALITY = 1, 3, 3
# Which operation, and what it takes, for each operation of RandAugment.
RANDOM_OPERATION = 1 + ERASE
# These come first, from a generator of their own, so that recipes of earlier versions draw the
# numbers that they always drew.
_FIRST = FLIP_AND_CROP + COLOR_JITTER + ERASE
_FURTHER = ROTATE + COLOR + QUALITY
_SALT_OF_FURTHER = 1


def count(recipe: Recipe) -> int:
    """How many random numbers a record needs."""
    return _FIRST + (_further(recipe) if _needs_further(recipe) else 0)


def draw(epoch_seed: int, image_id: tf.Tensor, copy: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """The random numbers of one record; its position in the epoch does not matter.

    Args:
        epoch_seed: in [0, 2**63), different in each run and epoch.
        image_id: string [].
        copy: int64 [], which copy of the image the record is.
        recipe: says how many are needed.

    Returns:
        float32 [count(recipe)], in [0, 1).
    """
    image = tf.strings.to_hash_bucket_fast(image_id, 2**63 - 1)
    seed = tf.stack([tf.constant(epoch_seed, tf.int64), image])
    of_copy = tf.random.fold_in(seed, copy)
    first = tf.random.stateless_uniform([_FIRST], of_copy)
    if not _needs_further(recipe):
        return first
    further = tf.random.fold_in(of_copy, _SALT_OF_FURTHER)
    return tf.concat([first, tf.random.stateless_uniform([_further(recipe)], further)], axis=0)


def divided(draws: tf.Tensor, recipe: Recipe) -> dict[str, tf.Tensor]:
    """The numbers of each family.

    Args:
        draws: float32 [N, count(recipe)].
        recipe: for which they were drawn.

    Returns:
        float32 [N, ...] by family; `random_0`, `random_1`, ... are those of RandAugment.
    """
    sizes = {"flip_and_crop": FLIP_AND_CROP, "color_jitter": COLOR_JITTER, "erase": ERASE}
    if _needs_further(recipe):
        sizes |= {"rotate": ROTATE, "color": COLOR, "quality": QUALITY}
        sizes |= {f"random_{index}": RANDOM_OPERATION for index in range(recipe.rand_augment)}
    return dict(zip(sizes, tf.split(draws, list(sizes.values()), axis=1), strict=True))


def are_used(recipe: Recipe) -> bool:
    """Whether a recipe changes any image."""
    return bool(
        recipe.flip
        or recipe.crop > 0
        or recipe.color_jitter > 0
        or recipe.erase > 0
        or _needs_further(recipe)
    )


def _needs_further(recipe: Recipe) -> bool:
    return bool(
        recipe.rotate > 0
        or recipe.hue > 0
        or recipe.saturation > 0
        or recipe.grayscale > 0
        or recipe.blur > 0
        or recipe.low_resolution > 0
        or recipe.jpeg_quality < 100
        or recipe.rand_augment > 0
    )


def _further(recipe: Recipe) -> int:
    return _FURTHER + RANDOM_OPERATION * recipe.rand_augment

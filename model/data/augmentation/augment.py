"""All changes of a batch of training images, in the order in which they happen to photos."""

import tensorflow as tf

from facemill.model.data.augmentation import color, draws, erasing, geometry, quality, rand_augment
from facemill.model.recipes.recipe import Recipe


def augment(pixels: tf.Tensor, recipe: Recipe, drawn: tf.Tensor) -> tf.Tensor:
    """Changes each image of a batch on its own.

    Where things are, then light and color, then what a camera and a file make of them, then what
    RandAugment adds, then what covers the face.

    Args:
        pixels: uint8 [N, S, S, 3].
        recipe: its augmentation is used.
        drawn: float32 [N, draws.count(recipe)], in [0, 1), see `draws.draw`.

    Returns:
        float32 [N, S, S, 3], in [0, 255].
    """
    if not draws.are_used(recipe):
        return tf.cast(pixels, tf.float32)
    numbers = draws.divided(drawn, recipe)
    if recipe.flip or recipe.crop > 0:
        images = geometry.flip_and_crop(pixels, recipe.flip, recipe.crop, numbers["flip_and_crop"])
    else:
        images = tf.cast(pixels, tf.float32)
    if recipe.rotate > 0:
        images = geometry.rotate(images, _signed(numbers["rotate"][:, 0], recipe.rotate))
    if recipe.color_jitter > 0:
        images = color.color_jitter(images, recipe.color_jitter, numbers["color_jitter"])
    if recipe.hue > 0 or recipe.saturation > 0 or recipe.grayscale > 0:
        images = _recolor(images, recipe, numbers["color"])
    if recipe.blur > 0:
        images = quality.blur(images, recipe.blur * numbers["quality"][:, 0])
    if recipe.low_resolution > 0:
        share = 1.0 - recipe.low_resolution * numbers["quality"][:, 1]
        images = quality.low_resolution(images, share)
    if recipe.jpeg_quality < 100:
        images = quality.jpeg(images, _qualities(recipe.jpeg_quality, numbers["quality"][:, 2]))
    if recipe.rand_augment > 0:
        images = tf.clip_by_value(images, 0.0, 255.0)
        for index in range(recipe.rand_augment):
            images = rand_augment.apply_one(
                images, recipe.rand_augment_magnitude, numbers[f"random_{index}"]
            )
    if recipe.erase > 0:
        images = erasing.erase(images, recipe.erase, numbers["erase"])
    return tf.clip_by_value(images, 0.0, 255.0)


def _signed(draws_of_one: tf.Tensor, largest: float) -> tf.Tensor:
    """Numbers in [0, 1) as ones in [-largest, largest)."""
    return largest * (2.0 * draws_of_one - 1.0)


def _recolor(images: tf.Tensor, recipe: Recipe, numbers: tf.Tensor) -> tf.Tensor:
    turn = _signed(numbers[:, 0], recipe.hue)
    saturation = 1.0 + _signed(numbers[:, 1], recipe.saturation)
    grey = numbers[:, 2] < recipe.grayscale
    return color.hue_and_saturation(images, turn, tf.where(grey, 0.0, saturation))


def _qualities(lowest: int, numbers: tf.Tensor) -> tf.Tensor:
    """int32 [N], from `lowest` to 100."""
    return lowest + tf.cast(numbers * (101 - lowest), tf.int32)

"""Random changes of training images; the same step of the same run always draws the same."""

import tensorflow as tf

from model.recipe import Recipe

_SMALLEST_ERASED, _LARGEST_ERASED = 0.15, 0.45


def augment(pixels: tf.Tensor, recipe: Recipe, seed: tf.Tensor) -> tf.Tensor:
    """Flips, crops, lights and erases each image of a batch on its own.

    Args:
        pixels: uint8 [N, S, S, 3].
        recipe: its flip, crop, light and erase count.
        seed: int64 [2].

    Returns:
        float32 [N, S, S, 3], in [0, 255].
    """
    seeds = tf.unstack(tf.random.split(seed, 4))
    images = tf.cast(pixels, tf.float32)
    if recipe.flip or recipe.crop > 0:
        images = _flip_and_crop(images, recipe, seeds[0])
    if recipe.light > 0:
        images = _light(images, recipe.light, seeds[1])
    if recipe.erase > 0:
        images = _erase(images, recipe.erase, seeds[2])
    return tf.clip_by_value(images, 0.0, 255.0)


def _flip_and_crop(images: tf.Tensor, recipe: Recipe, seed: tf.Tensor) -> tf.Tensor:
    """One resampling for both: a box whose left and right are exchanged gives the mirror image."""
    count, size = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform([count, 4], seed)
    side = 1.0 - recipe.crop * draws[:, 0]
    top = (1.0 - side) * draws[:, 1]
    left = (1.0 - side) * draws[:, 2]
    right = left + side
    mirrored = (draws[:, 3] < 0.5) if recipe.flip else tf.zeros([count], tf.bool)
    boxes = tf.stack(
        [top, tf.where(mirrored, right, left), top + side, tf.where(mirrored, left, right)], axis=1
    )
    return tf.image.crop_and_resize(images, boxes, tf.range(count), [size, size])


def _light(images: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    draws = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 5], seed, -1.0, 1.0)
    gain = 1.0 + strength * draws[..., :1]
    contrast = 1.0 + strength * draws[..., 1:2]
    color = 1.0 + strength / 4 * draws[..., 2:]
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return ((images - mean) * contrast + mean) * gain * color


def _erase(images: tf.Tensor, probability: float, seed: tf.Tensor) -> tf.Tensor:
    """Random erasing (Zhong et al. 2017, arXiv 1708.04896) with one random grey per image."""
    count, size = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform([count, 6], seed)
    sides = _SMALLEST_ERASED + (_LARGEST_ERASED - _SMALLEST_ERASED) * draws[:, 0:2]
    corners = (1.0 - sides) * draws[:, 2:4]
    place = (tf.range(size, dtype=tf.float32) + 0.5) / size
    inside = [
        (place > corners[:, axis, tf.newaxis])
        & (place < corners[:, axis, tf.newaxis] + sides[:, axis, tf.newaxis])
        for axis in (0, 1)
    ]
    mask = inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis, :]
    mask &= (draws[:, 4] < probability)[:, tf.newaxis, tf.newaxis]
    grey = 255.0 * draws[:, 5, tf.newaxis, tf.newaxis, tf.newaxis]
    return tf.where(mask[..., tf.newaxis], grey, images)

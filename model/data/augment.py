"""Random augmentation of training images, drawn by epoch, image_id and copy of each record."""

import tensorflow as tf

from facemill.model.recipes.recipe import Recipe

_SMALLEST_ERASED, _LARGEST_ERASED = 0.15, 0.45
# How many random numbers each operation takes, in this order.
_FLIP_AND_CROP, _COLOR_JITTER, _ERASE = 4, 5, 6
DRAWS = _FLIP_AND_CROP + _COLOR_JITTER + _ERASE


def draw(epoch_seed: int, image_id: tf.Tensor, copy: tf.Tensor) -> tf.Tensor:
    """The random numbers of one record; its position in the epoch does not matter.

    Args:
        epoch_seed: in [0, 2**63), different in each run and epoch.
        image_id: string [].
        copy: int64 [], which copy of the image the record is.

    Returns:
        float32 [DRAWS], in [0, 1).
    """
    image = tf.strings.to_hash_bucket_fast(image_id, 2**63 - 1)
    seed = tf.stack([tf.constant(epoch_seed, tf.int64), image])
    return tf.random.stateless_uniform([DRAWS], tf.random.fold_in(seed, copy))


def augment(pixels: tf.Tensor, recipe: Recipe, draws: tf.Tensor) -> tf.Tensor:
    """Flips, crops, color-jitters and erases each image of a batch on its own.

    Args:
        pixels: uint8 [N, S, S, 3].
        recipe: its `flip`, `crop`, `color_jitter` and `erase` are used.
        draws: float32 [N, DRAWS], in [0, 1), see `draw`.

    Returns:
        float32 [N, S, S, 3], in [0, 255].
    """
    flip_and_crop, jitter, erase = tf.split(draws, [_FLIP_AND_CROP, _COLOR_JITTER, _ERASE], axis=1)
    images = tf.cast(pixels, tf.float32)
    if recipe.flip or recipe.crop > 0:
        images = _flip_and_crop(images, recipe, flip_and_crop)
    if recipe.color_jitter > 0:
        images = _color_jitter(images, recipe.color_jitter, jitter)
    if recipe.erase > 0:
        images = _erase(images, recipe.erase, erase)
    return tf.clip_by_value(images, 0.0, 255.0)


def _flip_and_crop(images: tf.Tensor, recipe: Recipe, draws: tf.Tensor) -> tf.Tensor:
    """Both in one resampling: a box whose left and right edges are exchanged mirrors the image."""
    count, size = tf.shape(images)[0], images.shape[1]
    side = 1.0 - recipe.crop * draws[:, 0]
    top = (1.0 - side) * draws[:, 1]
    left = (1.0 - side) * draws[:, 2]
    right = left + side
    mirrored = (draws[:, 3] < 0.5) if recipe.flip else tf.zeros([count], tf.bool)
    boxes = tf.stack(
        [top, tf.where(mirrored, right, left), top + side, tf.where(mirrored, left, right)], axis=1
    )
    return tf.image.crop_and_resize(images, boxes, tf.range(count), [size, size])


def _color_jitter(images: tf.Tensor, strength: float, draws: tf.Tensor) -> tf.Tensor:
    signed = 2.0 * draws[:, tf.newaxis, tf.newaxis] - 1.0
    gain = 1.0 + strength * signed[..., :1]
    contrast = 1.0 + strength * signed[..., 1:2]
    color = 1.0 + strength / 4 * signed[..., 2:]
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return ((images - mean) * contrast + mean) * gain * color


def _erase(images: tf.Tensor, probability: float, draws: tf.Tensor) -> tf.Tensor:
    """Random erasing (Zhong et al. 2017, arXiv 1708.04896) with one random grey per image."""
    size = images.shape[1]
    sides = _SMALLEST_ERASED + (_LARGEST_ERASED - _SMALLEST_ERASED) * draws[:, 0:2]
    corners = (1.0 - sides) * draws[:, 2:4]
    center = (tf.range(size, dtype=tf.float32) + 0.5) / size
    inside = [
        (center > corners[:, axis, tf.newaxis])
        & (center < corners[:, axis, tf.newaxis] + sides[:, axis, tf.newaxis])
        for axis in (0, 1)
    ]
    mask = inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis, :]
    mask &= (draws[:, 4] < probability)[:, tf.newaxis, tf.newaxis]
    grey = 255.0 * draws[:, 5, tf.newaxis, tf.newaxis, tf.newaxis]
    return tf.where(mask[..., tf.newaxis], grey, images)

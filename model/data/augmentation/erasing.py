"""Random erasing (Zhong et al. 2017, arXiv 1708.04896), with one random grey for each image."""

import tensorflow as tf

_SMALLEST, _LARGEST = 0.15, 0.45


def erase(images: tf.Tensor, probability: float, draws: tf.Tensor) -> tf.Tensor:
    """Covers a rectangle of some images; its sides are 0.15 to 0.45 of the image's.

    Args:
        images: float32 [N, S, S, 3].
        probability: that an image has a rectangle.
        draws: float32 [N, 6], in [0, 1).
    """
    return cover(images, probability, _SMALLEST, _LARGEST, draws)


def cover(
    images: tf.Tensor, probability: float, smallest: float, largest: float, draws: tf.Tensor
) -> tf.Tensor:
    """Covers a rectangle whose sides are between two shares of the image's."""
    size = images.shape[1]
    sides = smallest + (largest - smallest) * draws[:, 0:2]
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

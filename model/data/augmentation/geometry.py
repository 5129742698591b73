"""Changes of where things are: mirroring, cropping, rotation."""

import math

import tensorflow as tf


def flip_and_crop(images: tf.Tensor, flip: bool, largest: float, draws: tf.Tensor) -> tf.Tensor:
    """Both in one resampling: a box whose left and right edges are exchanged mirrors the image.

    Args:
        images: uint8 or float32 [N, S, S, 3].
        flip: whether half of the images are mirrored.
        largest: share of a side that a crop takes away at most.
        draws: float32 [N, 4], in [0, 1).

    Returns:
        float32 [N, S, S, 3].
    """
    count, size = tf.shape(images)[0], images.shape[1]
    side = 1.0 - largest * draws[:, 0]
    top = (1.0 - side) * draws[:, 1]
    left = (1.0 - side) * draws[:, 2]
    right = left + side
    flipped = mirrored(flip, draws)
    boxes = tf.stack(
        [top, tf.where(flipped, right, left), top + side, tf.where(flipped, left, right)], axis=1
    )
    return tf.image.crop_and_resize(images, boxes, tf.range(count), [size, size])


def mirrored(flip: bool, draws: tf.Tensor) -> tf.Tensor:
    """Which images `flip_and_crop` mirrors: bool [N].

    Args:
        flip: whether half of the images are mirrored.
        draws: float32 [N, 4], in [0, 1).
    """
    return (draws[:, 3] < 0.5) if flip else tf.zeros([tf.shape(draws)[0]], tf.bool)


def rotate(images: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Turns each image about its center, by bilinear resampling; the border is continued.

    Args:
        images: float32 [N, S, S, 3].
        degrees: float32 [N], clockwise as people see the image.
    """
    size = images.shape[1]
    angle = degrees * (math.pi / 180.0)
    cos, sin = tf.cos(angle), tf.sin(angle)
    center = (size - 1) / 2.0
    zero = tf.zeros_like(cos)
    # From a pixel of the result to one of the source: the rotation back about the center.
    matrices = tf.stack(
        [
            cos, sin, center - center * (cos + sin),
            -sin, cos, center - center * (cos - sin),
            zero, zero,
        ],
        axis=1,
    )  # fmt: skip
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=matrices,
        output_shape=tf.constant([size, size]),
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )

"""Changes of light and color: brightness, contrast, hue, saturation, grayscale."""

import math

import numpy as np
import tensorflow as tf

# Luma of ITU-R BT.601, and the color axes of NTSC: rows Y, I and Q of R, G and B.
_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32
)
_FROM_YIQ = np.linalg.inv(_TO_YIQ).astype(np.float32)


def color_jitter(images: tf.Tensor, strength: float, draws: tf.Tensor) -> tf.Tensor:
    """Changes brightness, contrast and, by a quarter of `strength`, each channel on its own.

    Args:
        images: float32 [N, S, S, 3].
        strength: largest relative change.
        draws: float32 [N, 5], in [0, 1).
    """
    size = images.shape[1]
    signed = 2.0 * draws - 1.0
    gain = 1.0 + strength * signed[:, :1]
    contrast = 1.0 + strength * signed[:, 1:2]
    color = 1.0 + strength / 4 * signed[:, 2:]
    mean = tf.reduce_mean(images, axis=[1, 2, 3])[:, tf.newaxis]
    # TensorFlow broadcasts along one long axis in 0.6 of the time that it takes along [S, S, 3].
    flat = tf.reshape(images, [-1, size * size * 3])
    contrasted = tf.reshape((flat - mean) * contrast + mean, [-1, size, size * 3])
    # The factors first, as TensorFlow's optimizer orders them in a graph: other orders give other
    # last bits.
    rows = contrasted * tf.tile(gain * color, [1, size])[:, tf.newaxis]
    return tf.reshape(rows, [-1, size, size, 3])


def hue_and_saturation(images: tf.Tensor, turn: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
    """Turns the hue and scales the saturation, both in YIQ, so that the luma stays.

    Args:
        images: float32 [N, S, S, 3].
        turn: float32 [N], of the circle of hues, in [-0.5, 0.5].
        saturation: float32 [N], 0 for grey, 1 for no change.
    """
    angle = 2.0 * math.pi * turn
    cos, sin = saturation * tf.cos(angle), saturation * tf.sin(angle)
    one, zero = tf.ones_like(cos), tf.zeros_like(cos)
    turned = tf.reshape(
        tf.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), [-1, 3, 3]
    )
    matrices = tf.constant(_FROM_YIQ) @ turned @ tf.constant(_TO_YIQ)
    flat = tf.reshape(images, [tf.shape(images)[0], -1, 3])
    return tf.reshape(tf.matmul(flat, matrices, transpose_b=True), tf.shape(images))

"""How a margin lowers the cosine of an embedding to the center of its own identity.

Each function takes cosines, floats [N] in [-1, 1], and gives floats [N] of the same type. Where an
angle t is named, cos(t) is the given cosine. A margin is a number or a float64 scalar.
"""

import math
from typing import Any

import tensorflow as tf

# The derivative of arccos is infinite at 1 and at -1, so sines are kept above its root.
_LEAST_SQUARE = 1e-7
# The same for the angle, where the cosine of a multiple of it is asked for.
_LARGEST_COSINE = 1.0 - 1e-6

Number = Any


def cosface(cosine: tf.Tensor, margin: Number) -> tf.Tensor:
    """cos(t) - m: Wang et al. 2018, arXiv 1801.09414, equation 4."""
    return cosine - _of(margin, cosine)


def arcface(cosine: tf.Tensor, margin: Number) -> tf.Tensor:
    """cos(t + m), by the addition theorem: Deng et al. 2019, arXiv 1801.07698, equation 3.

    No angle is computed, and the sine is kept above 0. Where t + m exceeds pi, cos(t) - m sin(m)
    takes its place, which still falls as t grows: cos(t + m) would rise again there and reward the
    worst matches for getting worse.
    """
    angle = tf.convert_to_tensor(margin, tf.float64)
    cos, sin = _of(tf.cos(angle), cosine), _of(tf.sin(angle), cosine)
    shifted = cosine * cos - _sine(cosine) * sin
    beyond = cosine - _of(angle * tf.sin(angle), cosine)
    return tf.where(cosine > -cos, shifted, beyond)


def combined(
    cosine: tf.Tensor, multiplier: float, angle: float, margin: float, share: Number = 1.0
) -> tf.Tensor:
    """cos(m1 t + m2) - m3: Deng et al. 2019, arXiv 1801.07698v3, equation 4, as in InsightFace.

    Where m1 t + m2 exceeds pi, a line that falls as t grows takes the cosine's place: `arcface`'s
    if m1 is 1, else cos(t) - cos(t0) - 1, where t0 is the angle that reaches pi.

    Args:
        cosine: cos(t).
        multiplier: m1, 1 or more.
        angle: m2, in radians, from 0 to below pi.
        margin: m3.
        share: of the margin, in [0, 1]; of m1 it shrinks what exceeds 1.
    """
    share = tf.convert_to_tensor(share, tf.float64)
    if multiplier == 1.0:
        return arcface(cosine, share * angle) - _of(share * margin, cosine)
    times, plus = 1.0 + share * (multiplier - 1.0), share * angle
    bounded = tf.clip_by_value(cosine, -_LARGEST_COSINE, _LARGEST_COSINE)
    turned = _of(times, cosine) * tf.acos(bounded) + _of(plus, cosine)
    beyond = cosine - _of(tf.cos((math.pi - plus) / times) + 1.0, cosine)
    penalized = tf.where(turned < math.pi, tf.cos(turned), beyond)
    return penalized - _of(share * margin, cosine)


def adaface(cosine: tf.Tensor, quality: tf.Tensor, margin: Number) -> tf.Tensor:
    """cos(t + g_angle) - g_add: Kim et al. 2022, arXiv 2204.00964, section 3.3.

    g_angle = -m q and g_add = m q + m, where q is the quality. t + g_angle is kept from 0 to pi.

    Args:
        cosine: cos(t).
        quality: floats [N] in [-1, 1]: -1 has ArcFace's margin, 0 CosFace's, 1 gives the most
            weight to hard examples.
        margin: m.
    """
    margin = _of(margin, cosine)
    angle = -margin * quality
    cos = tf.cos(angle)
    shifted = cosine * cos - _sine(cosine) * tf.sin(angle)
    shifted = tf.where((angle < 0) & (cosine > cos), tf.ones_like(cosine), shifted)
    shifted = tf.where((angle > 0) & (cosine < -cos), -tf.ones_like(cosine), shifted)
    return shifted - (margin * quality + margin)


def _of(value: Number, like: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(value, tf.float64), like.dtype)


def _sine(cosine: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.maximum(1.0 - tf.square(cosine), _LEAST_SQUARE))

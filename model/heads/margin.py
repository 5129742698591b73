"""Heads over cosines to identity centers, with a margin on the cosine to the own identity."""

import math
from collections.abc import Callable

import tensorflow as tf

from facemill.model.heads.base import Head


class Margin(Head):
    """float32 [N, D], labels int [N] -> logits float32 [N, classes]: scaled cosines.

    Args:
        classes: number of identities.
        scale: s.
        penalize: lowers the cosine of a row to its own identity by the margin; `cosface` or
            `arcface`.
    """

    def __init__(
        self, classes: int, scale: float, penalize: Callable[[tf.Tensor], tf.Tensor]
    ) -> None:
        super().__init__("margin")
        self._classes = classes
        self._penalize = penalize
        self._scale = scale

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates the identities' centers, [D, classes]."""
        self.kernel = self.add_weight(
            shape=(shape[-1], self._classes), initializer="glorot_normal", name="kernel"
        )

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The logits; the margin lowers the cosine of each row to its own identity."""
        kernel = tf.convert_to_tensor(self.kernel)
        cosines = tf.math.l2_normalize(embeddings, axis=1) @ tf.math.l2_normalize(kernel, axis=0)
        own = tf.gather(cosines, labels, batch_dims=1)
        mask = tf.one_hot(labels, self._classes, dtype=cosines.dtype)
        return self._scale * (cosines + mask * (self._penalize(own) - own)[:, tf.newaxis])

    def losses(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        *,
        step: tf.Tensor | int = 0,
        targets: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Cross-entropy, float32 [N]."""
        del step, targets
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self(embeddings, labels))


def cosface(cosine: tf.Tensor, margin: float) -> tf.Tensor:
    """cos(t) - m: Wang et al. 2018, arXiv 1801.09414, equation 4."""
    return cosine - margin


def arcface(cosine: tf.Tensor, margin: float) -> tf.Tensor:
    """cos(t + m), by the addition theorem: Deng et al. 2019, arXiv 1801.07698, equation 3.

    The derivative of arccos is infinite at 1 and at -1, so no angle is computed, and the sine is
    kept above 0. Where t + m exceeds pi, cos(t) - m sin(m) takes its place, which still falls as t
    grows: cos(t + m) would rise again there and reward the worst matches for getting worse.
    """
    sine = tf.sqrt(tf.maximum(1.0 - tf.square(cosine), 1e-7))
    shifted = cosine * math.cos(margin) - sine * math.sin(margin)
    beyond = cosine - margin * math.sin(margin)
    return tf.where(cosine > -math.cos(margin), shifted, beyond)

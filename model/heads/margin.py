"""Heads over cosines to identity centers, with a margin on the cosine to the own identity."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facemill.model.heads.base import Head, checked
from facemill.model.heads.cross_entropy import cross_entropy
from facemill.model.heads.sampling import Sample, draw

# Own cosines [N] and the share of the margin, float64 [], to lowered cosines [N].
Penalty = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Margin(Head):
    """Cross-entropy over scaled cosines.

    A warm-up of the scale begins at sqrt(2) x ln(classes - 1), with which the probability of an
    image's own identity is steepest half way, at an angle of pi / 4: the fixed scale of Zhang et
    al. 2019, "AdaCos", arXiv 1905.00292. That the scale rises from there is our own choice.

    The centers of all identities are `kernel`, float32 [D, classes x sub-centers]. With a sample
    they are `centers`, float32 [classes, sub-centers x D], of which each step reads some rows.

    Args:
        classes: number of identities.
        scale: s.
        penalty: lowers the cosine of a row to its own identity.
        sub_centers: K, centers of each identity; the nearest counts: Deng et al. 2020, "Sub-center
            ArcFace", section 3.2 (max pooling over the cosines of sub-centers).
        smoothing: of the labels, in [0, 1); 0 with a sample.
        sample: which identities a step compares with, or None for all.
        parts: P, of the embedding. Each is compared with the same part of the centers by itself,
            as if it were an embedding, and the loss of an example is the mean over its parts.
    """

    def __init__(
        self,
        classes: int,
        scale: float,
        penalty: Penalty,
        *,
        sub_centers: int = 1,
        smoothing: float = 0.0,
        sample: Sample | None = None,
        parts: int = 1,
    ) -> None:
        super().__init__("margin")
        self._classes = classes
        self._scale = scale
        self._penalty = penalty
        self._sub_centers = sub_centers
        self._smoothing = smoothing
        self._sample = sample
        self._parts = parts
        # Of two identities the logarithm is 0.
        self.lowest_scale_share = math.sqrt(2) * math.log(max(classes - 1, 2)) / scale

    def build(self, shape: tuple[Any, ...]) -> None:
        """Creates the identities' centers."""
        count, size = self._classes, self._sub_centers
        if self._sample is None:
            self.kernel = self.add_weight(
                shape=(shape[-1], count * size), initializer="glorot_normal", name="kernel"
            )
        else:
            self.centers = self.add_weight(
                shape=(count, size * shape[-1]), initializer="glorot_normal", name="centers"
            )
        self._add_margin_share()
        self.scale_share = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="scale_share"
        )

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Logits float32 [N x P, classes] of a head without a sample, and labels [N]."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self._parts == 1:
            unit = tf.math.l2_normalize(embeddings, axis=1)
            cosines = unit @ tf.math.l2_normalize(kernel, axis=0)
        else:
            cosines = self._cosines(embeddings, tf.transpose(kernel))
        return self._logits(self._nearest(cosines), self._of_parts(labels), embeddings)

    def losses(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        *,
        step: tf.Tensor | int = 0,
        targets: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Cross-entropy, float32 [N]; see `Head.losses`."""
        del targets
        labels = checked(labels, self._classes)
        if self._sample is not None:
            return self._sampled_losses(embeddings, labels, self._sample, step)
        logits = self(embeddings, labels)
        return self._mean(cross_entropy(logits, self._of_parts(labels), self._smoothing))

    def identity_rows(self) -> np.ndarray:
        """Its centers, float32 [classes, sub-centers x D]."""
        if self._sample is not None:
            return np.array(keras.ops.convert_to_numpy(self.centers))
        kernel = keras.ops.convert_to_numpy(self.kernel)
        return np.ascontiguousarray(kernel.T).reshape(self._classes, -1)

    def set_identity_rows(self, rows: np.ndarray) -> None:
        """Sets its centers."""
        if self._sample is not None:
            self.centers.assign(rows)
        else:
            self.kernel.assign(rows.reshape(self._classes * self._sub_centers, -1).T)

    def _sampled_losses(
        self, embeddings: tf.Tensor, labels: tf.Tensor, sample: Sample, step: tf.Tensor | int
    ) -> tf.Tensor:
        drawn = draw(labels, self._classes, sample, step)
        # Gathered from the variable itself: its gradient has these rows alone.
        rows = tf.gather(self.centers.value, drawn.identities)
        rows = tf.reshape(rows, [-1, embeddings.shape[1]])
        cosines = self._cosines(embeddings, rows)
        columns = self._of_parts(drawn.columns)
        logits = self._logits(self._nearest(cosines), columns, embeddings)
        return self._mean(cross_entropy(logits + drawn.corrections, columns))

    def _cosines(self, embeddings: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Of the parts of embeddings [N, D] with the same parts of rows [R, D]: [N x P, R]."""
        if self._parts == 1:
            units = (tf.math.l2_normalize(one, axis=1) for one in (embeddings, rows))
            return tf.matmul(*units, transpose_b=True)
        shape = [-1, self._parts, embeddings.shape[1] // self._parts]
        units = (tf.math.l2_normalize(tf.reshape(one, shape), axis=2) for one in (embeddings, rows))
        cosines = tf.einsum("npd,rpd->npr", *units)
        return tf.reshape(cosines, [-1, tf.shape(rows)[0]])

    def _of_parts(self, labels: tf.Tensor) -> tf.Tensor:
        """[N] -> [N x P]: the label of each part."""
        return labels if self._parts == 1 else tf.repeat(labels, self._parts)

    def _mean(self, losses: tf.Tensor) -> tf.Tensor:
        """[N x P] -> [N]."""
        if self._parts == 1:
            return losses
        return tf.reduce_mean(tf.reshape(losses, [-1, self._parts]), axis=1)

    def _nearest(self, cosines: tf.Tensor) -> tf.Tensor:
        """[N, identities x K] -> [N, identities]: those of the nearest sub-centers."""
        if self._sub_centers == 1:
            return cosines
        shape = [tf.shape(cosines)[0], -1, self._sub_centers]
        return tf.reduce_max(tf.reshape(cosines, shape), axis=2)

    def _logits(self, cosines: tf.Tensor, columns: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
        own = tf.gather(cosines, columns, batch_dims=1)
        mask = tf.one_hot(columns, tf.shape(cosines)[1], dtype=cosines.dtype)
        lowered = self._penalize(own, tf.reshape(embeddings, [tf.shape(own)[0], -1]))
        scale = self._scale * tf.convert_to_tensor(self.scale_share)
        return scale * (cosines + mask * (lowered - own)[:, tf.newaxis])

    def _penalize(self, own: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
        """The lowered cosines, float32 [N]."""
        del embeddings
        return self._penalty(own, self._share())

"""The Siamese head: whether two images show one identity, as a classifier of pairs."""

import math

import keras
import tensorflow as tf

from facemill.model.heads.base import Head, checked, first_row, gathered


class Siamese(Head):
    """sigmoid(w |a - b| + c) for pairs of the global batch, with binary cross-entropy.

    Koch et al. 2015, "Siamese neural networks for one-shot image recognition", sections 3.1 and
    3.2. Embeddings are normalized and scaled to components of variance 1. Every pair of the batch
    counts, genuine and impostor pairs half each however many there are. A batch without genuine
    pairs has impostor pairs alone. Memory grows with the square of the batch.

    Args:
        classes: number of identities.
    """

    needs_pairs = True

    def __init__(self, classes: int) -> None:
        super().__init__("siamese")
        self._classes = classes
        self._dense = keras.layers.Dense(1, dtype="float32")

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates a weight for each component of an embedding."""
        self._dense.build(shape)

    def losses(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        *,
        step: tf.Tensor | int = 0,
        targets: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """float32 [N], of the pairs that each example is in; see `Head.losses`."""
        del step, targets
        labels = checked(labels, self._classes)
        scale = math.sqrt(embeddings.shape[1])
        unit = scale * tf.math.l2_normalize(embeddings, axis=1)
        everyone, every_label = gathered(unit), gathered(labels)
        logits = self._dense(tf.abs(unit[:, tf.newaxis] - everyone[tf.newaxis]))[..., 0]
        rows = first_row(tf.size(labels)) + tf.range(tf.size(labels))
        other = rows[:, tf.newaxis] != tf.range(tf.size(every_label))[tf.newaxis]
        same = labels[:, tf.newaxis] == every_label[tf.newaxis]
        losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(same, logits.dtype), logits)
        weights = _weights(every_label)
        weighted = losses * tf.where(same, weights[0], weights[1])
        # The distance of an image to itself is 0 and teaches nothing.
        return tf.reduce_sum(tf.where(other, weighted, 0.0), axis=1)


def _weights(every_label: tf.Tensor) -> tf.Tensor:
    """Weights of a genuine and of an impostor pair, float32 [2], relative to the batch's mean."""
    _, _, sizes = tf.unique_with_counts(every_label)
    total = tf.size(every_label)
    genuine = tf.reduce_sum(sizes * (sizes - 1))
    counts = tf.cast(tf.stack([genuine, total * (total - 1) - genuine]), tf.float32)
    present = tf.cast(counts > 0, tf.float32)
    # Half to each kind, all to the one that is there.
    half = present / tf.maximum(tf.reduce_sum(present), 1.0)
    return tf.cast(total, tf.float32) * half / tf.maximum(counts, 1.0)

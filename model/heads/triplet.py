"""The triplet loss, with semi-hard negatives from the global batch."""

import math

import tensorflow as tf

from facemill.model.heads.base import Head, checked, first_row, gathered


class Triplet(Head):
    """Schroff et al. 2015, arXiv 1503.03832: equations 1 and 2, negatives by equation 4.

    Embeddings are normalized. Each two images of one identity are an anchor and a positive, in both
    orders. The negative is the nearest that is farther than the positive; where there is none, the
    farthest. The loss is the mean over all these pairs, which `losses` shares out to the anchors.

    Args:
        classes: number of identities.
        margin: alpha, in squared distance.
    """

    needs_pairs = True

    def __init__(self, classes: int, margin: float) -> None:
        super().__init__("triplet")
        self._classes = classes
        self._margin = margin

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates the share of the margin and the count of batches without a triplet."""
        del shape
        self._add_margin_share()
        self.empty_batches = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="empty_batches",
        )

    def losses(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        *,
        step: tf.Tensor | int = 0,
        targets: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """float32 [N], all 0 where the global batch has no triplet; see `Head.losses`."""
        del step, targets
        labels = checked(labels, self._classes)
        unit = tf.math.l2_normalize(embeddings, axis=1)
        everyone, every_label = gathered(unit), gathered(labels)
        distances = tf.maximum(2.0 - 2.0 * tf.matmul(unit, everyone, transpose_b=True), 0.0)
        same = labels[:, tf.newaxis] == every_label[tf.newaxis]
        negative = self._negatives(distances, same)
        hinge = tf.nn.relu(distances + tf.cast(self._share() * self._margin, tf.float32) - negative)
        of_pairs = tf.where(same & ~_itself(labels, every_label), hinge, 0.0)
        pairs = _count(every_label)
        self.empty_batches.assign_add(tf.cast(pairs == 0, tf.float32))
        weight = tf.cast(tf.size(every_label), tf.float32) / tf.maximum(pairs, 1.0)
        return tf.where(pairs > 0, tf.reduce_sum(of_pairs, axis=1) * weight, 0.0)

    def _negatives(self, distances: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
        """The distance of the negative for each anchor and positive, float32 [N, all]."""
        # Unit vectors are at most 4 apart, in squares; others than negatives go to the end.
        far = tf.where(same, tf.constant(math.inf, distances.dtype), distances)
        order = tf.argsort(far, axis=1)
        rising = tf.gather(far, order, batch_dims=1)
        place = tf.searchsorted(rising, distances, side="right")
        last = tf.reduce_sum(tf.cast(~same, tf.int32), axis=1, keepdims=True) - 1
        # Without any negative the result is not used, but must be finite for its gradient.
        rising = tf.where(tf.math.is_inf(rising), 0.0, rising)
        return tf.gather(rising, tf.maximum(tf.minimum(place, last), 0), batch_dims=1)

    def notes(self) -> list[str]:
        """How many batches taught nothing."""
        count = int(self.empty_batches.numpy())
        if not count:
            return []
        batches = "batch" if count == 1 else "batches"
        return [
            f"{count:,} {batches} had no two images of one identity beside another identity, so no "
            "triplet, and taught nothing; put several images of each identity into a batch."
        ]


def _itself(labels: tf.Tensor, every_label: tf.Tensor) -> tf.Tensor:
    """bool [N, all]: which of all each example of this replica is."""
    rows = first_row(tf.size(labels)) + tf.range(tf.size(labels))
    return rows[:, tf.newaxis] == tf.range(tf.size(every_label))[tf.newaxis]


def _count(every_label: tf.Tensor) -> tf.Tensor:
    """Pairs of an anchor and a positive that have a negative, float32 []."""
    _, _, sizes = tf.unique_with_counts(every_label)
    pairs = tf.reduce_sum(sizes * (sizes - 1))
    return tf.cast(tf.where(tf.size(sizes) > 1, pairs, 0), tf.float32)

"""AdaFace: a margin that depends on the length of an embedding, which follows image quality."""

from typing import Any

import tensorflow as tf

from facemill.model.heads import penalties
from facemill.model.heads.base import gathered
from facemill.model.heads.margin import Margin

# Of the newest batch in the moving statistics, as in the authors' training script.
_NEWEST = 0.01
_SHORTEST, _LONGEST = 1e-3, 100.0
_LEAST_DEVIATION = 1e-3


class AdaFace(Margin):
    """Kim et al. 2022, arXiv 2204.00964, section 3.3.

    Mean and standard deviation of the lengths of embeddings move by 0.01 towards those of each
    global batch. They are weights that are not trained, so checkpoints hold them. The first batch
    sets them (the authors' code starts from 20 and 100). No gradient flows through lengths.

    Args:
        classes: number of identities.
        scale: s.
        margin: m.
        concentration: h; quality is h x (length - mean) / deviation, kept from -1 to 1.
        options: `sub_centers`, `sample`, `smoothing` and `parts` of `Margin`.
    """

    def __init__(
        self, classes: int, scale: float, margin: float, concentration: float, **options: Any
    ) -> None:
        super().__init__(classes, scale, lambda own, share: own, **options)
        self._margin = margin
        self._concentration = concentration

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates the centers and the statistics."""
        super().build(shape)
        self.length_mean, self.length_deviation = (
            self.add_weight(
                shape=(),
                initializer="zeros",
                trainable=False,
                # All replicas compute those of the global batch.
                aggregation="only_first_replica",
                name=name,
            )
            for name in ("length_mean", "length_deviation")
        )

    def _penalize(self, own: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
        lengths = tf.stop_gradient(tf.norm(embeddings, axis=1))
        lengths = tf.clip_by_value(lengths, _SHORTEST, _LONGEST)
        mean, deviation = self._updated(gathered(lengths))
        quality = self._concentration * (lengths - mean) / (deviation + _LEAST_DEVIATION)
        quality = tf.clip_by_value(quality, -1.0, 1.0)
        return penalties.adaface(own, quality, self._margin * self._share())

    def _updated(self, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Moves the statistics towards those of all lengths of a batch, and returns them."""
        count = tf.cast(tf.size(lengths), tf.float32)
        mean = tf.reduce_mean(lengths)
        # Unbiased, as the authors' code has it.
        variance = tf.reduce_sum(tf.square(lengths - mean)) / tf.maximum(count - 1.0, 1.0)
        old_mean = tf.convert_to_tensor(self.length_mean)
        old_deviation = tf.convert_to_tensor(self.length_deviation)
        # A mean of 0 is none, as each length is at least 0.001.
        newest = tf.where(old_mean > 0, _NEWEST, 1.0)
        mean = old_mean + newest * (mean - old_mean)
        deviation = old_deviation + newest * (tf.sqrt(variance) - old_deviation)
        self.length_mean.assign(mean)
        self.length_deviation.assign(deviation)
        return mean, deviation

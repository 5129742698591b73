"""The learning rate of each step: a linear warm-up, then a cosine to zero."""

import math

import keras
import tensorflow as tf


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly over the warm-up, then falls as half a cosine (arXiv 1608.03983, equation 5).

    Args:
        peak: the rate after the warm-up.
        warmup: steps of it.
        total: steps of the run.
    """

    def __init__(self, peak: float, warmup: int, total: int) -> None:
        self._peak = peak
        self._warmup = warmup
        self._total = total

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of a step, counted from 0."""
        step = tf.cast(step, tf.float32)
        # The first and the last step have a rate above 0, so that no step is wasted.
        rising = (step + 1.0) / max(1, self._warmup)
        share = (step - self._warmup) / max(1, self._total - self._warmup)
        falling = 0.5 * (1.0 + tf.cos(math.pi * tf.clip_by_value(share, 0.0, 1.0)))
        return self._peak * tf.where(step < self._warmup, rising, falling)

    def get_config(self) -> dict[str, float]:
        """The arguments of the constructor, from which Keras rebuilds the schedule."""
        return {"peak": self._peak, "warmup": self._warmup, "total": self._total}

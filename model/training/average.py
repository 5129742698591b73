"""A second network that holds the moving average of the weights, or their copy in float32."""

import tensorflow as tf

from facemill.model.export.embedder import Embedder


class Average:
    """Follows a network in training; it is validated and exported in the network's place.

    Every weight is averaged, the moving statistics of BatchNorm among them, so that they fit the
    averaged kernels. The decay rises from 0.1 to its value as (1 + t) / (10 + t), as in
    `tf.train.ExponentialMovingAverage` with `num_updates`: without that a short run would keep its
    random initial weights.

    Args:
        trained: the network in training.
        averaged: of the same architecture; its variables are the state of the average.
        decay: in [0, 1); 0 copies the weights.
    """

    def __init__(self, trained: Embedder, averaged: Embedder, decay: float) -> None:
        self._decay = decay
        self._pairs = list(zip(averaged.network.weights, trained.network.weights, strict=True))
        self.copy()

    @property
    def is_moving(self) -> bool:
        """Whether it has to be updated after every step."""
        return self._decay > 0

    def copy(self) -> None:
        """Sets the average to the weights."""
        for average, weight in self._pairs:
            average.value.assign(weight.value)

    def update(self, step: tf.Tensor) -> None:
        """Moves the average towards the weights, in a graph and outside of any replica.

        Args:
            step: int64 [], steps done, the one before this call included.
        """
        count = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + count) / (10.0 + count))
        for average, weight in self._pairs:
            # Read once: of several replicas this is the mean of unsynchronized statistics.
            now, target = tf.convert_to_tensor(average.value), tf.convert_to_tensor(weight.value)
            average.value.assign(now + (1.0 - decay) * (target - now))

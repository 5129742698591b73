"""The workers of a run: which part of a batch each takes, and what the chief alone knows."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.model.training.cluster import Cluster


class Crew:
    """This process among those that train together; by default it is alone.

    The methods are calls of all workers at once, in the same order.

    Args:
        strategy: of all workers.
        cluster: all workers, or None for this process alone.

    Attributes:
        index: of this process.
        count: how many there are.
    """

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster | None = None) -> None:
        self._strategy = strategy
        self.index = cluster.index if cluster else 0
        self.count = cluster.count if cluster else 1

    @property
    def is_chief(self) -> bool:
        """Whether this process validates, reports, and writes checkpoints and the model."""
        return self.index == 0

    @property
    def replicas(self) -> int:
        """Devices of this process that share its part of each batch."""
        return self._strategy.num_replicas_in_sync // self.count

    def divided(self, batches: tf.data.Dataset, batch_size: int) -> Iterable[Any]:
        """This process's part of each batch, divided among its replicas if there are several.

        The dividing iterator always has an autotuning thread, which delays the end of an epoch, see
        `model.data.tfdata.without_autotuning`; a single replica does without that iterator.

        Args:
            batches: this worker's part of each.
            batch_size: of all workers together.
        """
        if self.replicas == 1:
            return batches
        if self.count > 1:
            # The batches are this worker's own; TensorFlow would divide them once more.
            each = batch_size // self._strategy.num_replicas_in_sync
            return self._strategy.distribute_datasets_from_function(lambda _: batches.rebatch(each))
        return self._strategy.experimental_distribute_dataset(batches)

    def from_chief(self, value: int) -> int:
        """The chief's number.

        Args:
            value: of this process; that of others than the chief is not used.
        """
        return int(self._bits_from_chief(np.array(value, np.int64)))

    def share(self, variables: Iterable[Any]) -> None:
        """Gives variables the chief's values, to the bit.

        Args:
            variables: of TensorFlow or Keras, the same on all workers.
        """
        if self.count == 1:
            return
        for one in variables:
            value = one.numpy()
            bits = np.ascontiguousarray(value).view(_INTEGER[value.dtype.itemsize])
            shared = self._bits_from_chief(bits.reshape(value.shape))
            one.assign(shared.view(value.dtype).reshape(value.shape))

    def _bits_from_chief(self, bits: np.ndarray) -> np.ndarray:
        """The chief's integers, as the sum over workers of which the others add zeros."""
        if self.count == 1:
            return bits
        own = tf.constant(bits if self.is_chief else np.zeros_like(bits))
        return self._strategy.reduce("SUM", own, axis=None).numpy()


# What a collective operation can add up, by bytes.
_INTEGER = {4: np.int32, 8: np.int64}

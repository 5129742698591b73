"""The weights of the best validation so far, which early stopping keeps."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from facemill.model.training import stopping


class BestWeights:
    """A copy of a network's weights, on the CPU; it is no part of the computation.

    Args:
        network: that is validated and exported.
        wanted: whether the run stops early; if not, nothing is kept.

    Attributes:
        variables: the copy, a part of the checkpoint; empty if it is not wanted.
    """

    def __init__(self, network: keras.Model, wanted: bool) -> None:
        self._network = network
        self.variables = [tf.Variable(one) for one in network.get_weights()] if wanted else []

    def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Copies the network's weights if its validation is the best of the run.

        Args:
            rows: all validations, as `History.validation` has them; the last is the network's.
        """
        if self.variables and stopping.best(rows) == len(rows) - 1:
            for best, weight in zip(self.variables, self._network.get_weights(), strict=True):
                best.assign(weight)

    def restore(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Puts the best weights into the network, and says of which step they are.

        Args:
            rows: all validations of the run.
        """
        self._network.set_weights([one.numpy() for one in self.variables])
        best = rows[stopping.best(rows)]
        name = stopping.watched(best)
        print(
            f"the weights of step {best['step']:,} are kept, which had the best "
            f"{name.replace('_', ' ')} ({best[name]:.2%}) of {len(rows)} validations",
            file=sys.stderr,
        )

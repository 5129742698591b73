"""The norm of the gradient of each layer, taken inside the training step."""

from collections.abc import Sequence

import tensorflow as tf

from facemill.model.training import layer_names


class GradientNorms:
    """Norms by layer, computed in some of the steps.

    Args:
        paths: of the variables, in the order of their gradients.
        every: steps from one computation to the next; the first step has one.

    Attributes:
        layers: names of the layers, L.
        every: as given.
    """

    def __init__(self, paths: Sequence[str], every: int) -> None:
        of_variables = layer_names.of_variables(paths)
        self.layers = list(dict.fromkeys(of_variables))
        self._index = [self.layers.index(name) for name in of_variables]
        self.every = every

    def __call__(self, gradients: Sequence[tf.Tensor], measured: tf.Tensor) -> tf.Tensor:
        """The norms in a graph.

        Args:
            gradients: of the variables, summed over replicas.
            measured: bool [], whether this step is one of those; others cost nothing.

        Returns:
            float32 [L], zeros where the step is not one of those.
        """
        return tf.cond(
            measured, lambda: self._norms(gradients), lambda: tf.zeros([len(self.layers)])
        )

    def _norms(self, gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        values = [one.values if isinstance(one, tf.IndexedSlices) else one for one in gradients]
        squares = tf.stack([2.0 * tf.nn.l2_loss(one) for one in values])
        return tf.sqrt(tf.math.unsorted_segment_sum(squares, self._index, len(self.layers)))

    def is_measured(self, step: int) -> bool:
        """Whether step `step`, counted from 0, is one of those."""
        return step % self.every == 0

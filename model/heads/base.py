"""What a head is: it turns a batch of embeddings into the loss of each example."""

import keras
import tensorflow as tf


class Head(keras.layers.Layer):
    """A layer that is trained with a network and not exported.

    Its weights are float32 under every policy of Keras, and it computes in float32.

    Attributes:
        needs_targets: whether `losses` takes a teacher's embeddings.
        needs_pairs: whether a batch must hold several images of one identity.
        margin_share: of a head with a margin: a weight in [0, 1] that multiplies the margin and is
            not trained, 1 unless it is assigned. None of a head without a margin.
    """

    needs_targets = False
    needs_pairs = False
    margin_share: keras.Variable | None = None

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype="float32")

    def losses(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        *,
        step: tf.Tensor | int = 0,
        targets: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The loss of each example; their mean over the global batch is the loss of the step.

        Under several replicas each passes its own part of the batch and gets the losses of that
        part, as they would be on one replica.

        Args:
            embeddings: floats [N, D], not normalized.
            labels: int [N], from 0 to the number of identities - 1.
            step: of the optimizer, from which random choices follow.
            targets: float32 [N, D], a teacher's embeddings, where `needs_targets`.

        Returns:
            float32 [N].

        Raises:
            RunError: a label is out of range; tf.errors.InvalidArgumentError in a graph.
        """
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Sentences about what the head met in the steps so far."""
        return []

    def _add_margin_share(self) -> None:
        self.margin_share = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="margin_share"
        )

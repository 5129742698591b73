"""The softmax head: a linear layer, for cross-entropy."""

import keras
import tensorflow as tf

from facemill.model.heads.base import Head


class Softmax(Head):
    """float32 [N, D], labels int [N] -> logits float32 [N, classes].

    Args:
        classes: number of identities.
    """

    def __init__(self, classes: int) -> None:
        super().__init__("softmax")
        self._dense = keras.layers.Dense(classes)

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._dense.build(shape)

    def call(self, embeddings: keras.KerasTensor, labels: keras.KerasTensor) -> keras.KerasTensor:
        """The logits; the labels are unused."""
        del labels
        return self._dense(embeddings)

    def losses(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        *,
        step: tf.Tensor | int = 0,
        targets: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Cross-entropy, float32 [N]."""
        del step, targets
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self(embeddings, labels))

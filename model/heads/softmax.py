"""The softmax head: a linear layer, for cross-entropy."""

import keras


class Softmax(keras.layers.Layer):
    """float32 [N, D], labels int [N] -> logits float32 [N, classes].

    Args:
        classes: number of identities.
    """

    def __init__(self, classes: int) -> None:
        super().__init__(name="softmax")
        self._dense = keras.layers.Dense(classes)

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._dense.build(shape)

    def call(self, embeddings: keras.KerasTensor, labels: keras.KerasTensor) -> keras.KerasTensor:
        """The logits; the labels are unused."""
        del labels
        return self._dense(embeddings)

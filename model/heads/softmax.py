"""The softmax head: a linear layer, for cross-entropy."""

import keras
import numpy as np
import tensorflow as tf

from facemill.model.heads.base import Head, checked
from facemill.model.heads.cross_entropy import cross_entropy


class Softmax(Head):
    """A linear classifier.

    Args:
        classes: number of identities.
        smoothing: of the labels, in [0, 1).
    """

    def __init__(self, classes: int, smoothing: float = 0.0) -> None:
        super().__init__("softmax")
        self._classes = classes
        self._smoothing = smoothing
        self._dense = keras.layers.Dense(classes, dtype="float32")

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._dense.build(shape)

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Logits float32 [N, classes]; the labels are unused."""
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
        """Cross-entropy, float32 [N]; see `Head.losses`."""
        del step, targets
        labels = checked(labels, self._classes)
        return cross_entropy(self(embeddings, labels), labels, self._smoothing)

    def identity_rows(self) -> np.ndarray:
        """Kernel and bias, float32 [classes, D + 1]."""
        kernel, bias = map(keras.ops.convert_to_numpy, (self._dense.kernel, self._dense.bias))
        return np.concatenate([kernel.T, bias[:, np.newaxis]], axis=1)

    def set_identity_rows(self, rows: np.ndarray) -> None:
        """Sets kernel and bias."""
        self._dense.kernel.assign(rows[:, :-1].T)
        self._dense.bias.assign(rows[:, -1])

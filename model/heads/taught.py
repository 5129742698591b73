"""A head that learns from a teacher, alone or beside a head that learns from identities."""

import keras
import numpy as np
import tensorflow as tf

from facemill.model.heads.base import Head


class Taught(Head):
    """The loss of a head, plus a weight times that of a head of distillation.

    Where the teacher's embeddings have another length, a linear projection of the embeddings is
    compared with them. It is trained with the head and not exported.

    Args:
        distillation: the head of distillation.
        target_size: length of the teacher's embeddings.
        head: of identities, or None to learn from the teacher alone.
        weight: of the distillation, above 0.
    """

    needs_targets = True

    def __init__(
        self, distillation: Head, target_size: int, head: Head | None = None, weight: float = 1.0
    ) -> None:
        super().__init__("taught")
        self._distillation = distillation
        self._target_size = target_size
        self._head = head
        self._weight = weight
        self.needs_pairs = head is not None and head.needs_pairs

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates the weights of the inner head, then the projection if one is needed."""
        if self._head is not None:
            self._head.build(shape)
            # Keras counts a variable once, whoever holds it.
            self.margin_share = self._head.margin_share
        self._projection: keras.Variable | None = None
        if shape[-1] != self._target_size:
            self._projection = self.add_weight(
                shape=(shape[-1], self._target_size), initializer="glorot_uniform", name="kernel"
            )

    def losses(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        *,
        step: tf.Tensor | int = 0,
        targets: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """float32 [N]; see `Head.losses`."""
        projected = embeddings
        if self._projection is not None:
            projected = tf.matmul(embeddings, tf.convert_to_tensor(self._projection))
        taught = self._distillation.losses(projected, labels, step=step, targets=targets)
        if self._head is None:
            return taught
        return self._head.losses(embeddings, labels, step=step) + self._weight * taught

    def notes(self) -> list[str]:
        """Those of the inner head."""
        return [] if self._head is None else self._head.notes()

    def identity_rows(self) -> np.ndarray | None:
        """Those of the inner head."""
        return None if self._head is None else self._head.identity_rows()

    def set_identity_rows(self, rows: np.ndarray) -> None:
        """Sets those of the inner head."""
        if self._head is not None:
            self._head.set_identity_rows(rows)

"""Losses that draw embeddings to those of a teacher."""

from collections.abc import Callable

import tensorflow as tf

from facemill.model.heads.base import Head
from facemill.transforms.core.errors import ParameterError


def mean_squared_error(embeddings: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The mean of the squared differences of each row.

    Of hints: Romero et al. 2015, arXiv 1412.6550, equation 3, without its factor.

    Args:
        embeddings: float32 [N, D].
        targets: float32 [N, D].

    Returns:
        float32 [N].
    """
    return tf.reduce_mean(tf.math.squared_difference(embeddings, targets), axis=1)


def cosine_distance(embeddings: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """1 - cos of each two rows, half the squared distance of the normalized ones.

    Args:
        embeddings: float32 [N, D].
        targets: float32 [N, D].

    Returns:
        float32 [N], 0 to 2.
    """
    left, right = (tf.math.l2_normalize(one, axis=1) for one in (embeddings, targets))
    return 1.0 - tf.reduce_sum(left * right, axis=1)


class Distillation(Head):
    """A head without weights, whose labels are unused.

    Args:
        name: of the head.
        loss: of embeddings and targets; `mean_squared_error` or `cosine_distance`.
    """

    needs_targets = True

    def __init__(self, name: str, loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> None:
        super().__init__(name)
        self._loss = loss

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Creates nothing."""

    def losses(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        *,
        step: tf.Tensor | int = 0,
        targets: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """float32 [N]; see `Head.losses`.

        Raises:
            ParameterError: embeddings are not as long as the teacher's.
            ValueError: there are no targets.
        """
        del labels, step
        if targets is None:
            raise ValueError("a head of distillation needs targets")
        if targets.shape[1] != embeddings.shape[1]:
            raise ParameterError(
                "embedding_size",
                embeddings.shape[1],
                must=f"be the length of the teacher's embeddings ({targets.shape[1]})",
                do="give that",
            )
        return self._loss(embeddings, targets)

"""What a head is: it turns a batch of embeddings into the loss of each example."""

import keras
import numpy as np
import tensorflow as tf

from facemill.transforms.core.errors import RunError


class Head(keras.layers.Layer):
    """A layer that is trained with a network and not exported.

    Its weights are float32 under every policy of Keras, and it computes in float32. Its `losses`
    takes the place of Keras's list of that name, which only `keras.Model.fit` reads.

    Attributes:
        needs_targets: whether `losses` takes a teacher's embeddings.
        needs_pairs: whether a batch must hold several images of one identity.
        margin_share: of a head with a margin: a weight in [0, 1] that multiplies the margin and is
            not trained, 1 unless it is assigned. None of a head without a margin.
        scale_share: the same of the scale.
        lowest_scale_share: where a warm-up of the scale begins, above 0; 1 or more where the whole
            scale is no higher.
    """

    needs_targets = False
    needs_pairs = False
    margin_share: keras.Variable | None = None
    scale_share: keras.Variable | None = None
    lowest_scale_share = 1.0

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

        Under several replicas each passes its own part of the batch, all parts of one size, and
        gets the losses of its part, as they would be on one replica.

        Args:
            embeddings: float32 [N, D], not normalized.
            labels: int [N], from 0 to the number of identities - 1.
            step: of the optimizer, from which random choices follow.
            targets: float32 [N, D], a teacher's embeddings, where `needs_targets`.

        Returns:
            float32 [N].

        Raises:
            RunError: a label is out of range. A graph raises tf.errors.InvalidArgumentError.
        """
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Sentences about what the head met in the steps so far."""
        return []

    def identity_rows(self) -> np.ndarray | None:
        """What it holds of each identity, float32 [identities, R]; None where it holds nothing.

        R follows from the head and the length of embeddings; sampled identities make no difference.
        """
        return None

    def set_identity_rows(self, rows: np.ndarray) -> None:
        """Sets what `identity_rows` returns.

        Args:
            rows: float32 [identities, R].
        """
        raise NotImplementedError

    def _add_margin_share(self) -> None:
        self.margin_share = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="margin_share"
        )

    def _share(self) -> tf.Tensor:
        """The share of the margin, float64 [], so that a margin of 1 x m has m's own bits."""
        return tf.cast(tf.convert_to_tensor(self.margin_share), tf.float64)


def checked(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """The labels, once it is known that all are in range, which a GPU would not say.

    Args:
        labels: int [N].
        classes: number of identities.

    Raises:
        RunError: a label is out of range. A graph raises tf.errors.InvalidArgumentError.
    """
    in_range = tf.reduce_all((labels >= 0) & (labels < classes))
    message = f"Every label must be 0 to {classes - 1}"
    if tf.executing_eagerly():
        if not in_range:
            wrong = [int(one) for one in labels if not 0 <= one < classes]
            raise RunError(f"{message}, got {wrong[0]}; ingest again.")
        return labels
    with tf.control_dependencies([tf.debugging.Assert(in_range, [message, labels])]):
        return tf.identity(labels)


def gathered(value: tf.Tensor) -> tf.Tensor:
    """The rows of all replicas in their order; gradients flow back to each replica's own.

    Args:
        value: [N, ...], on each replica its own.

    Returns:
        [replicas x N, ...], the same on all.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_gather(value, axis=0)


def first_row(count: tf.Tensor) -> tf.Tensor:
    """Where this replica's rows begin among the gathered ones, int32 [].

    Args:
        count: int32 [], rows of each replica.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tf.constant(0)
    return tf.cast(context.replica_id_in_sync_group, tf.int32) * count

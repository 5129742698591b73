"""One step of training on a global batch, divided among replicas and into parts."""

from typing import Any

import keras
import tensorflow as tf

from facemill.model.export.embedder import Embedder
from facemill.model.heads import lazy_rows
from facemill.model.heads.base import Head
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.average import Average
from facemill.model.training.gradient_norms import GradientNorms
from facemill.model.training.warmups import Warmups


class Step:
    """The step and its count.

    Args:
        embedder: the network.
        head: on top of it.
        optimizer: built for `variables`.
        variables: the trainable ones.
        strategy: each batch is divided among its replicas.
        recipe: its batch size, accumulation and clipping are used.
        norms: of the gradient by layer.
        average: is updated after each step if it moves, or None.
        warmups: of the head's margin and scale.

    Attributes:
        done: int64 [], the number of steps done; part of the checkpoint.
    """

    def __init__(
        self,
        embedder: Embedder,
        head: Head,
        optimizer: keras.optimizers.Optimizer,
        variables: list[keras.Variable],
        strategy: tf.distribute.Strategy,
        recipe: Recipe,
        norms: GradientNorms,
        average: Average | None,
        warmups: Warmups,
    ) -> None:
        self._embedder = embedder
        self._head = head
        self._optimizer = optimizer
        self._variables = variables
        self._strategy = strategy
        self._recipe = recipe
        self._norms = norms
        self._average = average
        self._warmups = warmups
        with strategy.scope():
            self.done = tf.Variable(
                0,
                dtype=tf.int64,
                trainable=False,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )

    @tf.function(autograph=False)
    def train(
        self, pixels: Any, labels: Any, weights: Any, *targets: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One step.

        Args:
            pixels: [B, S, S, 3], or one tensor for each replica.
            labels: int64 [B], the same.
            weights: float32 [B], the same.
            targets: float32 [B, D], the same, where the head learns from a teacher.

        Returns:
            (the mean weighted loss float32 [], norms of the gradient by layer float32 [L], which
            are zeros in steps that do not measure them).
        """
        done = tf.convert_to_tensor(self.done)
        self._warmups.assign(done)
        measured = done % self._norms.every == 0
        batch = (measured, pixels, labels, weights, *targets)
        losses, norms = self._strategy.run(self._replica, batch)
        self.done.assign_add(1)
        if self._average is not None and self._average.is_moving:
            self._average.update(done + 1)
        loss = self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)
        # Each replica has the norms of the sum over all.
        return loss, self._strategy.experimental_local_results(norms)[0]

    def _replica(self, measured: tf.Tensor, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One replica's part of a step: its share of the global batch's mean loss, and norms."""
        several = self._recipe.accumulate > 1
        gradients_of = self._accumulated if several else self._gradients
        loss, gradients = gradients_of(*batch)
        gradients = lazy_rows.summed(gradients)
        # A factor on the loss is a power of two, so taking it away and back changes no bit.
        factor = self._optimizer.scale_loss(tf.ones([]))
        is_scaled = isinstance(self._optimizer, keras.optimizers.LossScaleOptimizer)
        if is_scaled:
            gradients = lazy_rows.divided(gradients, factor)
        norms = self._norms(gradients, measured)
        if self._recipe.clip_norm > 0:
            gradients, _ = tf.clip_by_global_norm(gradients, self._recipe.clip_norm)
        # The optimizer sums over replicas once more, so each replica passes its share of the sum.
        replicas = self._strategy.num_replicas_in_sync
        if replicas > 1:
            gradients = lazy_rows.divided(gradients, replicas)
        if is_scaled:
            gradients = lazy_rows.divided(gradients, 1.0 / factor)
        self._optimizer.apply(gradients, self._variables)
        return loss, norms

    def _gradients(
        self,
        pixels: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor,
        targets: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Loss and gradient of some images, as shares of those of the global batch's mean."""
        with tf.GradientTape() as tape:
            embeddings = self._embedder.raw(pixels, training=True)
            losses = self._head.losses(embeddings, labels, step=self.done, targets=targets)
            # Divided by the size of the global batch, so that the sum over replicas is the mean.
            # Weights are 1 on average over the train split, so the learning rate keeps its meaning.
            loss = tf.reduce_sum(losses * weights) / self._recipe.batch_size
            scaled = self._optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, [one.value for one in self._variables])

    def _accumulated(self, *batch: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The same, of one part of the images after the other, so that one part is in memory."""
        count = self._recipe.accumulate
        parts = [tf.reshape(one, [count, -1, *one.shape[1:]]) for one in batch]

        def add(index: tf.Tensor, loss: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            part, gradients = self._gradients(*(one[index] for one in parts))
            added = (
                sum_ + tf.convert_to_tensor(one) for sum_, one in zip(sums, gradients, strict=True)
            )
            return (index + 1, loss + part, *added)

        zeros = [tf.zeros(one.shape) for one in self._variables]
        _, loss, *gradients = tf.while_loop(
            lambda index, *_: index < count,
            add,
            (tf.constant(0), tf.zeros([]), *zeros),
            parallel_iterations=1,
        )
        return loss, gradients

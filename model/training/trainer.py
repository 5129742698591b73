"""The training loop, under tf.distribute.MirroredStrategy."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facemill.model.data import shard_files, tfdata
from facemill.model.data.validation_pairs import Pairs, Scores, score
from facemill.model.data.vocabulary import Transform
from facemill.model.export.embedder import Embedder
from facemill.model.heads import lazy_rows
from facemill.model.heads import registry as heads
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import checkpoints
from facemill.model.training.history import History
from facemill.model.training.schedule import WarmupCosine
from facemill.transforms.core.errors import ParameterError, RunError

_EMBED_BATCH = 64
_CHECK_EVERY = 20
_CHECKPOINT_SECONDS = 60.0


def count_replicas(cpu_replicas: int, batch_size: int) -> int:
    """How many devices share each batch: all GPUs if there are any, else logical CPU devices.

    Args:
        cpu_replicas: requested number of logical CPU devices.
        batch_size: images per step.

    Raises:
        UsageError: `cpu_replicas` is above 1 on a machine with GPUs, or the batch is not divisible.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus and cpu_replicas > 1:
        raise ParameterError(
            "cpu_replicas",
            cpu_replicas,
            must="be 1 where TensorFlow has GPUs",
            got=f"{cpu_replicas} beside {gpus}",
            do="leave it out, or hide the GPUs with CUDA_VISIBLE_DEVICES=-1",
        )
    count = gpus or cpu_replicas
    if batch_size % count:
        what = "the GPUs that share it" if gpus else "`cpu_replicas`"
        raise ParameterError(
            "batch_size",
            batch_size,
            must=f"be a multiple of {what} ({count})",
            do="change one of them",
        )
    return count


def replicas(count: int) -> tf.distribute.Strategy:
    """MirroredStrategy over all GPUs, or over `count` logical devices of the CPU.

    Call it before TensorFlow initializes a device.

    Args:
        count: the result of `count_replicas`.

    Raises:
        RunError: TensorFlow has initialized its devices already.
    """
    if tf.config.list_physical_devices("GPU"):
        return tf.distribute.MirroredStrategy([f"/gpu:{index}" for index in range(count)])
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError:
        raise RunError(
            "`cpu_replicas` must be set before TensorFlow starts, but it runs already in this "
            "process; use a new one."
        ) from None
    return tf.distribute.MirroredStrategy([f"/cpu:{index}" for index in range(count)])


@dataclass(frozen=True)
class Data:
    """The dataset of a run.

    Attributes:
        path: its path.
        manifest: its manifest.
        transform: its transform.
        pairs: validation pairs, or None.
    """

    path: str
    manifest: dict[str, Any]
    transform: Transform
    pairs: Pairs | None


class Trainer:
    """A model in training; its initial weights are drawn from Keras's current seed.

    Args:
        data: the dataset and its validation pairs.
        recipe: hyperparameters.
        strategy: each batch is divided among its replicas.
        folder: where checkpoints are written.
        logs: where TensorBoard logs are written.
        saved: is called whenever a checkpoint was written.

    Attributes:
        embedder: the network with its preprocessing.
        history: loss, learning rate and validation so far.
        warmup: steps in which the learning rate rises.
        done: steps that were begun, also by the run before.
    """

    def __init__(
        self,
        data: Data,
        recipe: Recipe,
        strategy: tf.distribute.Strategy,
        folder: str,
        logs: str,
        saved: Callable[[], None] = lambda: None,
    ) -> None:
        self._data = data
        self._recipe = recipe
        self._strategy = strategy
        self._folder = folder
        self._logs = tf.summary.create_file_writer(logs)
        self._saved = saved
        self._restored = False
        self._epoch_steps = tfdata.steps_per_epoch(data.manifest, recipe.batch_size)
        self._steps = recipe.steps or self._epoch_steps * recipe.epochs
        self.warmup = round(recipe.warmup_epochs * self._epoch_steps)
        self._rate = WarmupCosine(recipe.learning_rate, self.warmup, self._steps)
        with strategy.scope():
            self._build()
        self.history = History(folder)
        self.done = 0
        network = self.embedder.network
        weights = {id(one) for one in network.weights}
        # The state of dropout's generators, which tf.train.Checkpoint does not find in the network.
        generators = [one for one in network.variables if id(one) not in weights]
        self._checkpoint = tf.train.Checkpoint(
            network=network, head=self._head, optimizer=self._optimizer, generators=generators
        )
        checkpoints.mend_list(folder)
        self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=2)

    def _build(self) -> None:
        recipe, transform = self._recipe, self._data.transform
        self.embedder = Embedder(
            recipe,
            self._data.manifest["options"]["image_size"],
            transform.pixel_mean,
            transform.pixel_std,
        )
        self._head = heads.build(recipe, len(transform.identities))
        self._head.build((None, recipe.embedding_size))
        self._variables = self.embedder.network.trainable_variables + self._head.trainable_variables
        self._optimizer = _optimizer(recipe, self._rate)
        # Only kernels decay; biases, PReLU slopes and BatchNorm scales do not.
        without_decay = [one for one in self._variables if not one.path.endswith("kernel")]
        self._optimizer.exclude_from_weight_decay(var_list=without_decay)
        if recipe.sample_identities < 1:
            lazy_rows.update_read_rows_alone(self._optimizer)
        self._optimizer.build(self._variables)

    @property
    def step(self) -> int:
        """The number of steps done."""
        return int(self._optimizer.iterations.numpy())

    @property
    def steps(self) -> int:
        """The number of steps of the whole run."""
        return self._steps

    def notes(self) -> list[str]:
        """Sentences about what the head met in the steps so far."""
        return self._head.notes()

    def run(self) -> Scores | None:
        """Trains to the last step, from the newest checkpoint if there is one.

        Returns:
            Scores of the validation pairs after the last step; None without pairs.

        Raises:
            RunError: the loss or a weight is not finite (the message names the step), or a record
                or the checkpoint is damaged.
        """
        self.restore()
        started, saved = time.monotonic(), time.monotonic()
        first = self.step
        scores = None
        while self.step < self._steps:
            epoch = self.step // self._epoch_steps
            for losses in self._losses(epoch, self.step % self._epoch_steps):
                self._record(losses)
                if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    self._save()
                    saved = time.monotonic()
            scores = self._validate()
            self._save()
            saved = time.monotonic()
            self._report(epoch, (self.step - first) / (time.monotonic() - started))
        return self._validate() if scores is None else scores

    def restore(self) -> None:
        """Takes up the newest undamaged checkpoint, if there is one; a second call does nothing.

        Raises:
            RunError: there are checkpoints, and all are damaged.
        """
        if self._restored:
            return
        self._restored = True
        damaged: list[str] = []
        for path in checkpoints.newest_first(self._folder, self._manager.checkpoints):
            try:
                self._checkpoint.restore(path).assert_consumed()
                self.history.load(self.step)
            # What TensorFlow's checkpoint reader and `History.load` raise on damaged files.
            except (
                OSError,
                ValueError,
                LookupError,
                AssertionError,
                tf.errors.OpError,
            ) as error:
                damaged.append(f"{path} ({type(error).__name__})")
                continue
            self.done = self.step
            if damaged:
                print(f"damaged and passed over: {', '.join(damaged)}", file=sys.stderr)
            print(f"going on from step {self.step}", file=sys.stderr)
            return
        if damaged:
            raise RunError(
                "A checkpoint of the run before must be undamaged, but none is that is there: "
                f"{', '.join(damaged)}; bring one back, or train anew by `restart`."
            )

    def _losses(self, epoch: int, first: int) -> Iterator[list[float]]:
        """Trains on the rest of an epoch; yields losses in groups of up to `_CHECK_EVERY` steps."""
        try:
            yield from self._steps_of(epoch, first)
        except tf.errors.OpError as error:
            failure = shard_files.failure()
            if failure is not None:
                raise failure from None
            if not isinstance(error, (tf.errors.DataLossError, tf.errors.InvalidArgumentError)):
                raise
            raise RunError(
                f"Every record of {self._data.path} must be an image of a known identity, but "
                f"TensorFlow stopped after step {self.step} "
                f"({error.message.splitlines()[0][:200]}); ingest again."
            ) from None

    def _steps_of(self, epoch: int, first: int) -> Iterator[list[float]]:
        batches = tfdata.batches(
            self._data.path, self._data.manifest, self._data.transform, self._recipe, epoch, first
        ).take(self._steps - self.step)
        pending: list[tf.Tensor] = []
        for batch in self._divided(batches):
            pending.append(self._train(*batch))
            self.done += 1
            # Reading a loss waits for its step; reading them in groups keeps the cores busy.
            if len(pending) == _CHECK_EVERY:
                yield [float(loss) for loss in pending]
                pending = []
        if pending:
            yield [float(loss) for loss in pending]

    def _divided(self, batches: tf.data.Dataset) -> Iterable[Any]:
        """The batches, each divided among the replicas if there are several.

        The dividing iterator always has an autotuning thread, which delays the end of an epoch, see
        `model.data.tfdata.without_autotuning`; a single replica does without that iterator.
        """
        if self._strategy.num_replicas_in_sync == 1:
            return batches
        return self._strategy.experimental_distribute_dataset(batches)

    @tf.function
    def _train(self, pixels: Any, labels: Any, weights: Any) -> tf.Tensor:
        """One step on a global batch; returns the mean weighted loss."""
        losses = self._strategy.run(self._replica, (pixels, labels, weights))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    def _replica(self, pixels: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """One replica's part of a step; returns its share of the global batch's mean loss."""
        with tf.GradientTape() as tape:
            embeddings = self.embedder.raw(pixels, training=True)
            losses = self._head.losses(embeddings, labels, step=self._optimizer.iterations)
            # Divided by the size of the global batch, so that the sum over replicas is the mean.
            # Weights are 1 on average over the train split, so the learning rate keeps its meaning.
            loss = tf.reduce_sum(losses * weights) / self._recipe.batch_size
        gradients = tape.gradient(loss, [one.value for one in self._variables])
        gradients = lazy_rows.summed(gradients)
        if self._recipe.clip_norm > 0:
            gradients, _ = tf.clip_by_global_norm(gradients, self._recipe.clip_norm)
        # The optimizer sums over replicas once more, so each replica passes its share of the sum.
        share = lazy_rows.divided(gradients, self._strategy.num_replicas_in_sync)
        self._optimizer.apply(share, self._variables)
        return loss

    def _record(self, losses: list[float]) -> None:
        start = self.step - len(losses)
        for index, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise RunError(
                    f"The loss must be finite, but it is {loss} at step {start + index + 1}; lower "
                    "`learning_rate` or look at the labels, and train again."
                )
        if not self._finite():
            raise RunError(
                f"The weights must be finite, but after step {self.step} they are not; lower "
                "`learning_rate` or look at the labels, and train again."
            )
        rates = [float(self._rate(start + index)) for index in range(len(losses))]
        self.history.add_steps(start, losses, rates)
        with self._logs.as_default():
            for index, (loss, rate) in enumerate(zip(losses, rates, strict=True)):
                tf.summary.scalar("loss", loss, start + index + 1)
                tf.summary.scalar("learning rate", rate, start + index + 1)

    @tf.function
    def _finite(self) -> tf.Tensor:
        """Whether all weights are finite; a step can break them after its loss was computed."""
        weights = self.embedder.network.weights + self._head.weights
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(one.value)) for one in weights])

    def _validate(self) -> Scores | None:
        if self._data.pairs is None:
            return None
        try:
            scores = score(self._data.pairs, self.embed)
        except ValueError as error:
            raise RunError(
                f"The model must embed every val image, but after step {self.step} it does not "
                f"({error}); lower `learning_rate` and train again."
            ) from None
        self.history.add_validation(self.step, scores.metrics)
        with self._logs.as_default():
            for name, value in scores.metrics.items():
                tf.summary.scalar(f"validation {name}", value, self.step)
        return scores

    def embed(self, encoded: list[bytes]) -> np.ndarray:
        """Embeddings of JPEGs of the model's image size: float32 [N, D], each row of length 1."""
        dataset = tfdata.images(encoded, self.embedder.image_size, _EMBED_BATCH)
        return np.concatenate([self._embed(pixels).numpy() for pixels in dataset])

    @tf.function(reduce_retracing=True)
    def _embed(self, pixels: tf.Tensor) -> tf.Tensor:
        return self.embedder.embed(pixels)

    def _save(self) -> None:
        self._logs.flush()
        # The history is written first: a run cannot resume from a checkpoint without its history.
        self.history.save(self.step)
        self._manager.save(self.step)
        self.history.forget(self._manager.checkpoints)
        self._saved()

    def _report(self, epoch: int, rate: float) -> None:
        left = (self._steps - self.step) / max(rate, 1e-9)
        validation = self.history.validation
        accuracy = f", pairs {validation[-1]['accuracy']:.2%}" if validation else ""
        print(
            f"epoch {epoch + 1}/{math.ceil(self._steps / self._epoch_steps)}: "
            f"loss {self.history.mean_loss(self._epoch_steps):.4f}{accuracy}, "
            f"{rate * self._recipe.batch_size:,.0f} images/s, {left / 60:.1f} min left",
            file=sys.stderr,
            flush=True,
        )


def _optimizer(recipe: Recipe, rate: WarmupCosine) -> keras.optimizers.Optimizer:
    decay = recipe.weight_decay or None
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate, weight_decay=decay)
    return keras.optimizers.SGD(
        rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, weight_decay=decay
    )

"""The training loop: from the newest checkpoint to the last step, epoch by epoch."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.model.data import tfdata
from facemill.model.data.collection import Labels
from facemill.model.data.teacher_targets import TeacherTargets
from facemill.model.data.validation_pairs import Pairs, Scores, clusters, score
from facemill.model.data.validation_sets import ValidationSet
from facemill.model.export.embedder import Embedder
from facemill.model.heads import registry as heads
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import (
    failures,
    fine_tuning,
    kept_head,
    optimizers,
    precision,
    schedules,
    state,
    stopping,
)
from facemill.model.training.average import Average
from facemill.model.training.best_weights import BestWeights
from facemill.model.training.checkpoints import Checkpoints
from facemill.model.training.crew import Crew
from facemill.model.training.finite import all_finite
from facemill.model.training.gradient_norms import GradientNorms
from facemill.model.training.history import History
from facemill.model.training.monitoring import Monitor
from facemill.model.training.schedules import Schedule
from facemill.model.training.step import Step
from facemill.model.training.validation import SetScores
from facemill.model.training.warmups import Warmups
from facemill.transforms.core.errors import ParameterError, RunError

_EMBED_BATCH = 64
_CHECK_EVERY = 20
_CHECKPOINT_SECONDS = 60.0
# Gradient norms are measured in one of so many steps, and in more the longer the run is, so that
# the history stays small.
_NORMS_EVERY, _MOST_NORMS = 20, 500


@dataclass(frozen=True)
class Data:
    """The dataset of a run, or several.

    Attributes:
        path: its path; of several, their paths for messages.
        manifest: its manifest, or the collection's.
        transform: its transform, or a collection of datasets.
        pairs: validation pairs, or None.
        sets: further sets of pairs, by which nothing is chosen.
        targets: a teacher's embeddings of the train split, or None.
        start: what the network begins with, or None for random weights.
    """

    path: str
    manifest: dict[str, Any]
    transform: Labels
    pairs: Pairs | None
    sets: Sequence[ValidationSet] = ()
    targets: TeacherTargets | None = None
    start: fine_tuning.Start | None = None


@dataclass(frozen=True)
class Group:
    """Some steps in a row.

    Attributes:
        start: steps done before.
        losses: of these steps.
        norms: of the gradient by layer, of those of these steps that measured them.
    """

    start: int
    losses: list[float]
    norms: list[list[float]]


class Trainer:
    """A model in training; its initial weights are drawn from Keras's current seed.

    Args:
        data: the dataset and its validation pairs.
        recipe: hyperparameters.
        strategy: each batch is divided among its replicas.
        folder: where checkpoints are written.
        logs: where TensorBoard logs are written.
        saved: is called whenever a checkpoint was written.
        warn: is called with sentences about the course of the run.
        rate: replaces the recipe's schedule of the learning rate.
        crew: this process among those that train together, or None if it is alone. Only the chief
            validates, prints, and writes checkpoints.

    Attributes:
        embedder: the network in training, with its preprocessing.
        exported: the network that is validated and exported: that in training, or a second one
            that holds its moving average or computes in float32.
        history: loss, learning rate, gradients and validation so far.
        epoch_steps: steps of an epoch.
        warmup: steps in which the learning rate rises.
        done: steps that were begun, also by the run before.
        sets: scores of the further validation sets.
    """

    def __init__(
        self,
        data: Data,
        recipe: Recipe,
        strategy: tf.distribute.Strategy,
        folder: str,
        logs: str,
        saved: Callable[[], None] = lambda: None,
        warn: Callable[[str], None] = lambda text: print(f"warning: {text}", file=sys.stderr),
        rate: Schedule | None = None,
        crew: Crew | None = None,
    ) -> None:
        self._data = data
        self._recipe = recipe
        self._strategy = strategy
        self._crew = crew or Crew(strategy)
        self._folder = folder
        self._saved = saved
        self._restored = False
        heads.check_replicas(recipe, strategy.num_replicas_in_sync)
        self.sets = SetScores(data.sets)
        if recipe.early_stopping and data.pairs is None and self._crew.is_chief:
            raise ParameterError(
                "early_stopping",
                recipe.early_stopping,
                must="be 0 without validation pairs",
                do="leave it out, or ingest with two val identities of two images or more",
            )
        self.epoch_steps = tfdata.steps_per_epoch(data.manifest, recipe.batch_size)
        self._steps = recipe.steps or self.epoch_steps * recipe.epochs
        self.warmup = round(recipe.warmup_epochs * self.epoch_steps)
        self._rate = rate or schedules.build(recipe, self.epoch_steps, self._steps)
        with strategy.scope():
            self._build()
        self._best = BestWeights(self.exported.network, wanted=recipe.early_stopping > 0)
        self.history = History(folder)
        self.done = 0
        self._resumable = self._state()
        self._checkpoints = Checkpoints(self._resumable, self.history, folder)
        self._monitor = Monitor(
            self.history, recipe, self._norms, logs, self.epoch_steps, self._steps, warn
        )
        self.note = self._monitor.note

    def _build(self) -> None:
        recipe = self._recipe
        with precision.layers_of(recipe.precision):
            self.embedder = self._embedder()
        targets = self._data.targets
        self._head = heads.build(
            recipe, len(self._data.transform.identities), targets.size if targets else None
        )
        self._head.build((None, recipe.embedding_size))
        if self._data.start is not None:
            identities = self._data.transform.identities
            fine_tuning.begin(self.embedder, self._head, identities, self._data.start)
        self._variables = self.embedder.network.trainable_variables + self._head.trainable_variables
        self._optimizer = optimizers.build(recipe, self._rate, self._variables)
        # Built last, so that the initial weights do not depend on it.
        second = recipe.ema > 0 or recipe.precision != "float32"
        self.exported = self._embedder() if second else self.embedder
        self._average = Average(self.embedder, self.exported, recipe.ema) if second else None
        every = max(_NORMS_EVERY, -(-self._steps // _MOST_NORMS))
        self._norms = GradientNorms([one.path for one in self._variables], every)
        self._step = Step(
            self.embedder,
            self._head,
            self._optimizer,
            self._variables,
            self._strategy,
            recipe,
            self._norms,
            self._average,
            Warmups(self._head, recipe, self.epoch_steps),
        )
        self._train = self._step.train

    def _embedder(self) -> Embedder:
        transform = self._data.transform
        size = self._data.manifest["options"]["image_size"]
        return Embedder(self._recipe, size, transform.pixel_mean, transform.pixel_std)

    def _state(self) -> dict[str, Any]:
        """All that decides how the run goes on, by name."""
        network = self.embedder.network
        weights = {id(one) for one in network.weights}
        return state.named(
            {
                "network": network.weights,
                # The state of dropout's generators is no weight of the network.
                "generators": [one for one in network.variables if id(one) not in weights],
                "head": self._head.variables,
                "optimizer": self._optimizer.variables,
                "average": self.exported.network.weights if self._average else [],
                "best": self._best.variables,
                "step": [self._step.done],
            }
        )

    @property
    def step(self) -> int:
        """The number of steps done."""
        return int(self._step.done.numpy())

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
            Scores of the validation pairs by the network `exported`; None without pairs, and on
            workers that are not the chief.

        Raises:
            RunError: the loss or a weight is not finite (the message names the step), or a record
                or the checkpoint is damaged.
        """
        self.restore()
        started, saved = time.monotonic(), time.monotonic()
        first = self.step
        scores = None
        while self.step < self._steps and not self._is_over():
            epoch = self.step // self.epoch_steps
            for group in self._losses(epoch, self.step % self.epoch_steps):
                self._record(group)
                if self._crew.is_chief and time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    self._check_weights()
                    self._save()
                    saved = time.monotonic()
            self._check_weights()
            if not self._crew.is_chief:
                continue
            scores = self._validate()
            self._save()
            saved = time.monotonic()
            self._monitor.epoch(epoch, self.step, (self.step - first) / (saved - started))
        if not self._crew.is_chief:
            return None
        if self._best.variables and self._data.pairs is not None:
            self._best.restore(self.history.validation)
            self.sets.measure(self.embed)
            return score(self._data.pairs, self.embed)
        return self._validate() if scores is None else scores

    def write_head(self) -> None:
        """Writes what the head holds of each identity beside the checkpoints; see `kept_head`."""
        path = os.path.join(self._folder, kept_head.FILE)
        kept_head.write(path, self._head, self._data.transform.identities)

    def groups(self) -> Iterator[Group]:
        """Trains to the last step without validation, checkpoints and records.

        Raises:
            RunError: a record is damaged.
        """
        while self.step < self._steps:
            yield from self._losses(self.step // self.epoch_steps, self.step % self.epoch_steps)

    def _is_over(self) -> bool:
        patience = self._recipe.early_stopping
        if not patience:
            return False
        return bool(self._crew.from_chief(stopping.is_over(self.history.validation, patience)))

    def restore(self) -> None:
        """Takes up the newest undamaged checkpoint, if there is one; a second call does nothing.

        Raises:
            RunError: there are checkpoints, and all are damaged, or one does not fit the model.
        """
        if self._restored:
            return
        self._restored = True
        found = self._checkpoints.restore() if self._crew.is_chief else None
        if not self._crew.from_chief(found is not None):
            return
        self._crew.share(self._resumable.values())
        self.done = self.step
        print(f"going on from step {self.step}", file=sys.stderr)

    def _losses(self, epoch: int, first: int) -> Iterator[Group]:
        """Trains on the rest of an epoch; yields groups of up to `_CHECK_EVERY` steps."""
        try:
            yield from self._steps_of(epoch, first)
        except tf.errors.OpError as error:
            raise failures.of_records(error, self._data.path, self.step) from None

    def _steps_of(self, epoch: int, first: int) -> Iterator[Group]:
        start = self.step
        data = self._data
        batches = tfdata.batches(
            *(data.path, data.manifest, data.transform, self._recipe, epoch, first),
            *(self._crew.index, self._crew.count),
            targets=data.targets.of if data.targets else None,
        ).take(self._steps - start)
        pending: list[tuple[tf.Tensor, tf.Tensor]] = []
        for batch in self._crew.divided(batches, self._recipe.batch_size):
            pending.append(self._train(*batch))
            self.done += 1
            # Reading a loss waits for its step; reading them in groups keeps the cores busy.
            if len(pending) == _CHECK_EVERY:
                yield self._read(start, pending)
                start += len(pending)
                pending = []
        if pending:
            yield self._read(start, pending)

    def _read(self, start: int, pending: list[tuple[tf.Tensor, tf.Tensor]]) -> Group:
        losses = [float(loss) for loss, _ in pending]
        measured = [norms for _, norms in pending]
        kept = [one for at, one in enumerate(measured) if self._norms.is_measured(start + at)]
        return Group(start, losses, [one.numpy().tolist() for one in kept])

    def _record(self, group: Group) -> None:
        rates = [float(self._rate(group.start + index)) for index in range(len(group.losses))]
        self._monitor.steps(group.start, group.losses, group.norms, rates)

    def _check_weights(self) -> None:
        """Raises a RunError unless all weights are finite.

        A step can break them after its loss was computed. That shows in the loss of a later step,
        so they are read only where they are about to be validated or saved.
        """
        if not self._finite():
            raise RunError(
                f"The weights must be finite, but after step {self.step} they are not; lower "
                "`learning_rate` or look at the labels, and train again."
            )

    @tf.function(autograph=False)
    def _finite(self) -> tf.Tensor:
        weights = self.embedder.network.weights + self._head.weights
        return all_finite([tf.convert_to_tensor(one.value) for one in weights])

    def _validate(self) -> Scores | None:
        if self._average is not None and not self._average.is_moving:
            self._average.copy()
        scores, figures = None, {}
        try:
            if self._data.pairs is not None:
                scores = score(self._data.pairs, self.embed)
                figures = stopping.figures(scores, clusters(self._data.pairs))
            figures |= self.sets.measure(self.embed)
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            size = self.exported.image_size
            raise failures.of_validation(error, size, self.step) from None
        if figures:
            self._monitor.validation(self.step, figures)
        self._best.keep(self.history.validation)
        return scores

    def embed(self, encoded: list[bytes]) -> np.ndarray:
        """Embeddings of JPEGs of the model's image size: float32 [N, D], each row of length 1."""
        dataset = tfdata.images(encoded, self.exported.image_size, _EMBED_BATCH)
        return np.concatenate([self._embed(pixels).numpy() for pixels in dataset])

    @tf.function(reduce_retracing=True, autograph=False)
    def _embed(self, pixels: tf.Tensor) -> tf.Tensor:
        return self.exported.embed(pixels)

    def _save(self) -> None:
        self._monitor.flush()
        self._checkpoints.save(self.step)
        self._saved()

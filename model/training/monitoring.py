"""What a run records and prints while it trains: history, TensorBoard, the line of an epoch."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from facemill.model.recipes.recipe import Recipe
from facemill.model.training import diagnosis
from facemill.model.training.gradient_norms import GradientNorms
from facemill.model.training.history import History
from facemill.model.training.validation import SEPARATOR
from facemill.transforms.core.errors import RunError


class Monitor:
    """Records what happens.

    Args:
        history: of the run.
        recipe: of the run.
        norms: of the gradient by layer.
        logs: folder of TensorBoard's files.
        epoch_steps: steps of an epoch.
        steps: of the run.
        warn: is called with each new sentence about the course of the run.
    """

    def __init__(
        self,
        history: History,
        recipe: Recipe,
        norms: GradientNorms,
        logs: str,
        epoch_steps: int,
        steps: int,
        warn: Callable[[str], None],
    ) -> None:
        self._history = history
        self._recipe = recipe
        self._norms = norms
        self._logs = tf.summary.create_file_writer(logs)
        self._epoch_steps = epoch_steps
        self._steps = steps
        self._warn = warn
        self._warned: set[str] = set()
        history.layers = norms.layers

    def steps(
        self,
        start: int,
        losses: Sequence[float],
        norms: Sequence[Sequence[float]],
        rates: Sequence[float],
    ) -> None:
        """Records the steps after step `start`.

        Args:
            start: steps done before.
            losses: of these steps.
            norms: by layer, of those of these steps that measured them.
            rates: learning rates of these steps.

        Raises:
            RunError: a loss is not finite.
        """
        for index, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise RunError(
                    f"The loss must be finite, but it is {loss} at step {start + index + 1}; lower "
                    "`learning_rate` or look at the labels, and train again."
                )
        measured = [
            start + index + 1
            for index in range(len(losses))
            if self._norms.is_measured(start + index)
        ]
        self._history.add_steps(start, losses, rates)
        self._history.add_gradients(start, dict(zip(measured, norms, strict=True)))
        with self._logs.as_default():
            for index, (loss, rate) in enumerate(zip(losses, rates, strict=True)):
                tf.summary.scalar("loss", loss, start + index + 1)
                tf.summary.scalar("learning rate", rate, start + index + 1)
            for step, values in zip(measured, norms, strict=True):
                for layer, value in zip(self._norms.layers, values, strict=True):
                    tf.summary.scalar(f"gradient norm/{layer}", value, step)

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Records a validation after step `step`."""
        self._history.add_validation(step, dict(figures))
        with self._logs.as_default():
            for name, value in figures.items():
                tf.summary.scalar(f"validation {name}", value, step)

    def epoch(self, epoch: int, step: int, rate: float) -> None:
        """Prints the line of an epoch and warns of what its figures say.

        Args:
            epoch: from 0 on.
            step: steps done.
            rate: steps a second.
        """
        left = (self._steps - step) / max(rate, 1e-9)
        accuracies = self._accuracies()
        accuracy = f", {accuracies}" if accuracies else ""
        print(
            f"epoch {epoch + 1}/{math.ceil(self._steps / self._epoch_steps)}: "
            f"loss {self._history.mean_loss(self._epoch_steps):.4f}{accuracy}, "
            f"{rate * self._recipe.batch_size:,.0f} images/s, {left / 60:.1f} min left",
            file=sys.stderr,
            flush=True,
        )
        for finding in diagnosis.findings(self._history, self._epoch_steps, self._recipe):
            if finding.code not in self._warned:
                self._warned.add(finding.code)
                self._warn(finding.text)

    def note(self, rate: float) -> str:
        """What a progress line adds: images a second and the last validation.

        Args:
            rate: steps a second.
        """
        text = f"{rate * self._recipe.batch_size:,.0f} images/s"
        if not self._history.validation:
            return text
        last = self._history.validation[-1]
        return f"{text}, {self._accuracies()} after step {last['step']:,}"

    def _accuracies(self) -> str:
        """The accuracies of the last validation: of the val pairs and of further sets."""
        if not self._history.validation:
            return ""
        found = []
        for name, value in self._history.validation[-1].items():
            of_set, _, figure = name.rpartition(SEPARATOR)
            if figure == "accuracy":
                found.append(f"{of_set or 'pairs'} {value:.2%}")
        return ", ".join(found)

    def flush(self) -> None:
        """Writes what TensorBoard's files do not hold yet."""
        self._logs.flush()

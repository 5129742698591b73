"""Loss, rate, gradients and validation of a run, saved with each checkpoint, for its resume."""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from facemill.transforms import storage


class History:
    """Loss and learning rate of every step, gradient norms of some, figures of each validation.

    Args:
        folder: of its files, one for each checkpoint.

    Attributes:
        losses: of steps 1, 2, ...
        rates: learning rates of the same steps.
        layers: names of the network's layers, in order.
        gradients: {"step": ..., "norms": [of each layer]} of the steps that measured them.
        validation: {"step": ..., figure: value} of each validation.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.layers: list[str] = []
        self.gradients: list[dict[str, Any]] = []
        self.validation: list[dict[str, Any]] = []
        self._before, self._since = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the history was made or loaded, and of the processes before."""
        return self._before + time.monotonic() - self._since

    def add_steps(self, start: int, losses: Sequence[float], rates: Sequence[float]) -> None:
        """Adds the steps after step `start`, in place of any recorded before."""
        self.losses[start:] = losses
        self.rates[start:] = rates

    def add_gradients(self, start: int, norms: Mapping[int, Sequence[float]]) -> None:
        """Adds gradient norms of steps after `start`, in place of any recorded before.

        Args:
            start: steps done before.
            norms: by step, one for each layer. Four digits are kept.
        """
        self.gradients = [row for row in self.gradients if row["step"] <= start]
        for step, values in norms.items():
            rounded = [float(f"{value:.4g}") for value in values]
            self.gradients.append({"step": step, "norms": rounded})

    def add_validation(self, step: int, figures: dict[str, float]) -> None:
        """Adds the validation after `step` steps, in place of any of that step or later."""
        self.validation = [row for row in self.validation if row["step"] < step]
        self.validation.append({"step": step, **figures})

    def mean_loss(self, steps: int) -> float:
        """The mean loss of the last `steps` steps."""
        last = self.losses[-steps:]
        return sum(last) / len(last)

    def to_csv(self) -> str:
        """A line for each step: its loss and rate, and the figures of a validation after it."""
        named = list(dict.fromkeys(name for row in self.validation for name in row))
        names = [name for name in named if name != "step"]
        after = {row["step"]: row for row in self.validation}
        lines = [",".join(["step", "loss", "learning_rate", *names])]
        for step, (loss, rate) in enumerate(zip(self.losses, self.rates, strict=True), start=1):
            figures = after.get(step, {})
            cells = [step, loss, rate, *(figures.get(name, "") for name in names)]
            lines.append(",".join(map(str, cells)))
        return "\n".join(lines) + "\n"

    def save(self, step: int) -> None:
        """Writes the file of a checkpoint."""
        value = {
            "losses": self.losses,
            "rates": self.rates,
            "gradients": self.gradients,
            "validation": self.validation,
            "seconds": round(self.seconds, 3),
        }
        storage.write_atomically(self._path(step), json.dumps(value).encode("ascii"))

    def load(self, step: int) -> None:
        """Reads the file of a checkpoint.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not JSON.
            KeyError: it has no history.
        """
        value = json.loads(storage.read_bytes(self._path(step)))
        self.losses, self.rates = value["losses"], value["rates"]
        self.gradients, self.validation = value["gradients"], value["validation"]
        # Files of before have no time.
        self._before, self._since = value.get("seconds", 0.0), time.monotonic()

    def forget(self, checkpoints: Iterable[str]) -> None:
        """Removes the files whose checkpoint is gone.

        Args:
            checkpoints: paths of the existing ones; each ends in `-<step>`.
        """
        kept = {self._name(int(path.rsplit("-", 1)[1])) for path in checkpoints}
        for name in storage.names(self._folder):
            if name.startswith("history-") and name not in kept:
                storage.remove(os.path.join(self._folder, name))

    def _path(self, step: int) -> str:
        return os.path.join(self._folder, self._name(step))

    def _name(self, step: int) -> str:
        return f"history-{step}.json"

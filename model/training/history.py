"""The course of a training run, kept beside its checkpoints for a run that goes on."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from facemill.transforms import storage


class History:
    """Loss and learning rate of every step, figures of every validation.

    Args:
        folder: where it is kept, one file for each checkpoint.

    Attributes:
        losses: of steps 1, 2, ...
        rates: their learning rates.
        validation: {"step": ..., figure: value} of each validation.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.validation: list[dict[str, Any]] = []

    def add_steps(self, start: int, losses: Sequence[float], rates: Sequence[float]) -> None:
        """Adds steps that follow `start` steps."""
        self.losses[start:] = losses
        self.rates[start:] = rates

    def add_validation(self, step: int, figures: dict[str, float]) -> None:
        """Adds a validation after `step` steps, in place of those of that step or later ones."""
        self.validation = [row for row in self.validation if row["step"] < step]
        self.validation.append({"step": step, **figures})

    def mean_loss(self, steps: int) -> float:
        """Of the last so many steps."""
        last = self.losses[-steps:]
        return sum(last) / len(last)

    def save(self, step: int) -> None:
        """Writes the file of a checkpoint."""
        value = {"losses": self.losses, "rates": self.rates, "validation": self.validation}
        storage.write_atomically(self._path(step), json.dumps(value).encode("ascii"))

    def load(self, step: int) -> None:
        """Reads the file of a checkpoint.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not JSON.
            KeyError: it is not a history.
        """
        value = json.loads(storage.read_bytes(self._path(step)))
        self.losses, self.rates = value["losses"], value["rates"]
        self.validation = value["validation"]

    def forget(self, checkpoints: Iterable[str]) -> None:
        """Removes the files whose checkpoint is gone.

        Args:
            checkpoints: paths of those that are kept; each ends in `-<step>`.
        """
        kept = {self._name(int(path.rsplit("-", 1)[1])) for path in checkpoints}
        for name in storage.names(self._folder):
            if name.startswith("history-") and name not in kept:
                storage.remove(os.path.join(self._folder, name))

    def _path(self, step: int) -> str:
        return os.path.join(self._folder, self._name(step))

    def _name(self, step: int) -> str:
        return f"history-{step}.json"

"""Loss, learning rate and validation of a run, saved with each checkpoint so that it can resume."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from facemill.transforms import storage


class History:
    """Loss and learning rate of every step, figures of every validation.

    Args:
        folder: of its files, one for each checkpoint.

    Attributes:
        losses: of steps 1, 2, ...
        rates: learning rates of the same steps.
        validation: {"step": ..., figure: value} of each validation.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.validation: list[dict[str, Any]] = []

    def add_steps(self, start: int, losses: Sequence[float], rates: Sequence[float]) -> None:
        """Adds the steps after step `start`, in place of any recorded before."""
        self.losses[start:] = losses
        self.rates[start:] = rates

    def add_validation(self, step: int, figures: dict[str, float]) -> None:
        """Adds the validation after `step` steps, in place of any of that step or later."""
        self.validation = [row for row in self.validation if row["step"] < step]
        self.validation.append({"step": step, **figures})

    def mean_loss(self, steps: int) -> float:
        """The mean loss of the last `steps` steps."""
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
            KeyError: it has no history.
        """
        value = json.loads(storage.read_bytes(self._path(step)))
        self.losses, self.rates = value["losses"], value["rates"]
        self.validation = value["validation"]

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

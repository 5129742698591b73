"""Scores of the further validation sets of a run; nothing is chosen by them."""

from collections.abc import Callable, Sequence

import numpy as np

from facemill.model.data.validation_pairs import Scores, score
from facemill.model.data.validation_sets import ValidationSet
from facemill.model.metrics.pair_figures import PairFigures

# Between the name of a set and that of a figure.
SEPARATOR = "/"


class SetScores:
    """The newest scores of each set.

    Args:
        sets: of the run.

    Attributes:
        newest: scores by the name of the set.
    """

    def __init__(self, sets: Sequence[ValidationSet]) -> None:
        self._sets = sets
        self.newest: dict[str, Scores] = {}

    def measure(self, embed: Callable[[list[bytes]], np.ndarray]) -> dict[str, float]:
        """Scores each set.

        Args:
            embed: from N encoded images to float32 [N, D].

        Returns:
            The figures of `PairFigures.flat` by `SET/FIGURE`.
        """
        found: dict[str, float] = {}
        for one in self._sets:
            scores = self.newest[one.name] = score(one.pairs, embed)
            figures = PairFigures(scores.genuine, scores.impostor, one.clusters).flat()
            found |= {f"{one.name}{SEPARATOR}{name}": value for name, value in figures.items()}
        return found

"""When to stop early: the figure that is watched, and what it has been so far.

All follows from the recorded validations, so a run that resumes stops where it would have stopped.
"""

from collections.abc import Mapping, Sequence

from facemill.model.data.validation_pairs import Scores
from facemill.model.metrics.pair_figures import TAR_PREFIX, PairFigures

ACCURACY = "accuracy"


def figures(scores: Scores, clusters: Sequence[str] | None = None) -> dict[str, float]:
    """The figures of a validation: those of `PairFigures.flat`.

    Args:
        scores: of the validation pairs.
        clusters: see `PairFigures`.

    Returns:
        Values in [0, 1] by name. There is no TAR, a key such as `tar_at_fmr_0.01`, where the
        impostor pairs are too few for any of the rates.
    """
    return PairFigures(scores.genuine, scores.impostor, clusters).flat()


def watched(row: Mapping[str, float]) -> str:
    """The name of the figure that early stopping watches: TAR where there is one."""
    return next((name for name in row if name.startswith(TAR_PREFIX)), ACCURACY)


def rate_of(name: str) -> float:
    """The false match rate in the name of a TAR, such as 0.01 of `tar_at_fmr_0.01`."""
    return float(name.removeprefix(TAR_PREFIX))


def best(rows: Sequence[Mapping[str, float]]) -> int:
    """The index of the best validation, the first of equal ones.

    Args:
        rows: of the validations, one or more.
    """
    name = watched(rows[0])
    values = [row[name] for row in rows]
    return values.index(max(values))


def is_over(rows: Sequence[Mapping[str, float]], patience: int) -> bool:
    """Whether the last `patience` validations were all no better than one before.

    Args:
        rows: of the validations.
        patience: 0 for never.
    """
    return bool(patience and rows) and len(rows) - 1 - best(rows) >= patience

"""95 % intervals: of a share of independent trials, and of shares that depend on identities."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

_DRAWS = 1000
# Draws of one block, so that memory stays small.
_BLOCK = 50
_EDGES = (2.5, 97.5)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion (JASA 22, 1927), 95 %.

    Args:
        successes: in 0..trials.
        trials: 1 or more, independent.

    Raises:
        ValueError: no trials, or successes outside 0..trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"successes must be in 0..trials, got {successes} of {trials}")
    found = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def by_cluster(parts: np.ndarray, wholes: np.ndarray, seed: int = 0) -> tuple[float, float] | None:
    """The interval of a share whose trials come in clusters, such as the photos of an identity.

    Clusters are drawn with replacement (Efron's bootstrap, percentiles of 1,000 draws). The share
    is the sum of `parts` by the sum of `wholes`. Neither the order of the clusters nor their names
    make a difference.

    Args:
        parts: float or int [N], of each cluster.
        wholes: float or int [N], 0 or more; clusters of 0 are left out.
        seed: of the draws.

    Returns:
        (low, high); None with fewer than two clusters, which tell nothing about further ones.
    """
    parts, wholes = _ordered(parts, wholes)
    if len(parts) < 2:
        return None
    return _percentiles(_shares(parts, wholes, np.random.default_rng(seed)))


def of_difference(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], seed: int = 0
) -> tuple[float, float] | None:
    """The interval of the difference of two such shares, of clusters that are drawn apart.

    Args:
        one: parts and wholes, as in `by_cluster`.
        other: the same of the share that is subtracted.
        seed: of the draws.

    Returns:
        (low, high); None where either has fewer than two clusters.
    """
    first, second = _ordered(*one), _ordered(*other)
    if min(len(first[0]), len(second[0])) < 2:
        return None
    draws = np.random.default_rng(seed)
    return _percentiles(_shares(*first, draws) - _shares(*second, draws))


def sums_by_cluster(
    clusters: Sequence[object] | np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Parts and wholes for `by_cluster`, of single trials.

    Args:
        clusters: [N], the cluster of each trial.
        values: [N], what each adds to the part; each adds 1 to the whole.

    Returns:
        (float64 [C], int64 [C]).
    """
    numbers: dict[object, int] = {}
    codes = np.array([numbers.setdefault(one, len(numbers)) for one in clusters], np.int64)
    count = len(numbers)
    parts = np.bincount(codes, np.asarray(values, np.float64), minlength=count)
    return parts, np.bincount(codes, minlength=count)


def _ordered(parts: np.ndarray, wholes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    parts, wholes = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    parts, wholes = parts[wholes > 0], wholes[wholes > 0]
    order = np.lexsort((parts, wholes))
    return parts[order], wholes[order]


def _shares(parts: np.ndarray, wholes: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """The share in each draw, float64 [DRAWS]."""
    found = []
    for _ in range(0, _DRAWS, _BLOCK):
        chosen = draws.integers(0, len(parts), (_BLOCK, len(parts)))
        found.append(parts[chosen].sum(axis=1) / wholes[chosen].sum(axis=1))
    return np.concatenate(found)


def _percentiles(shares: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(shares, _EDGES)
    return float(low), float(high)

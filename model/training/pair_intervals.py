"""Intervals of the figures of a validation, over its identities."""

import numpy as np

from facemill.model.data.validation_pairs import Pairs, Scores
from facemill.model.metrics import verification
from facemill.model.metrics.intervals import by_cluster, sums_by_cluster
from facemill.model.training import stopping


def of(scores: Scores, pairs: Pairs) -> dict[str, list[float]]:
    """The 95 % intervals of the figures that `stopping.figures` gives.

    Identities are drawn with replacement, each with its pairs, at the thresholds that the pairs
    chose. An impostor pair counts to its first image's identity. There are as many impostor pairs
    as genuine ones, so the equal error rate is the share of wrong pairs where the rates cross.

    Args:
        scores: of the pairs.
        pairs: with identities.

    Returns:
        [low, high] by name, without those that too few identities cannot tell.
    """
    owners = np.array(pairs.identities, object)
    genuine, impostor = owners[pairs.genuine[:, 0]], owners[pairs.impostor[:, 0]]
    both = np.concatenate([genuine, impostor])

    def right(threshold: float) -> np.ndarray:
        return np.concatenate([scores.genuine >= threshold, scores.impostor < threshold])

    _, best = verification.best_accuracy(scores.genuine, scores.impostor)
    curve = verification.roc(scores.genuine, scores.impostor)
    _, crossing = verification.equal_error_rate(curve)
    found = {
        "accuracy": _interval(both, right(best)),
        "equal_error_rate": _interval(both, ~right(crossing)),
    }
    name = stopping.watched(stopping.figures(scores))
    if name != stopping.ACCURACY:
        threshold = verification.threshold_at(curve, stopping.rate_of(name))
        found[name] = _interval(genuine, scores.genuine >= threshold)
    return {key: list(value) for key, value in found.items() if value is not None}


def _interval(owners: np.ndarray, right: np.ndarray) -> tuple[float, float] | None:
    return by_cluster(*sums_by_cluster(owners.tolist(), right))

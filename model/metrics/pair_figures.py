"""Figures of verification pairs with their intervals: accuracy, equal error rate, TAR at FMR."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.model.metrics import intervals, verification

# False match rates, the lowest first.
RATES = (1e-3, 1e-2, 1e-1)
TAR_PREFIX = "tar_at_fmr_"


def tar_name(far: float) -> str:
    """The name of the TAR at a false match rate, such as `tar_at_fmr_0.01`."""
    return f"{TAR_PREFIX}{far:g}"


@dataclass(frozen=True)
class PairFigures:
    """Of genuine and impostor pairs.

    Attributes:
        genuine: cosines, float64 [G].
        impostor: cosines, float64 [I].
        clusters: of each genuine and then each impostor pair, the identity of its first image, or
            None where the images name no identities. Pairs of one identity are no independent
            trials, so intervals draw identities; without them, pairs.
    """

    genuine: np.ndarray
    impostor: np.ndarray
    clusters: Sequence[str] | None = None

    @functools.cached_property
    def _tar(self) -> tuple[verification.Tar, ...]:
        return verification.tar_at_far(self.genuine, self.impostor, RATES)

    def flat(self) -> dict[str, float]:
        """For each epoch: accuracy, equal error rate, TAR at the lowest FMR that is supported.

        Returns:
            Values in [0, 1] by name: `accuracy`, `equal_error_rate`, and where the impostor pairs
            support one of RATES `tar_at_fmr_0.01`, say, with `tar_low` and `tar_high`.
        """
        curve = verification.roc(self.genuine, self.impostor)
        accuracy, _ = verification.best_accuracy(self.genuine, self.impostor)
        found = {
            "accuracy": accuracy,
            "equal_error_rate": float(verification.equal_error_rate(curve)[0]),
        }
        for one in self._tar:
            if one.tar is not None:
                low, high = self._interval(one)
                found |= {tar_name(one.far): one.tar, "tar_low": low, "tar_high": high}
                break
        return found

    def to_manifest(self) -> dict[str, Any]:
        """All figures; intervals are of 95 %."""
        curve = verification.roc(self.genuine, self.impostor)
        accuracy, threshold = verification.best_accuracy(self.genuine, self.impostor)
        right = np.concatenate([self.genuine >= threshold, self.impostor < threshold])
        rows = verification.as_json(self._tar)
        for row, one in zip(rows, self._tar, strict=True):
            if one.tar is not None:
                row["tar_95"] = list(self._interval(one))
        return {
            "genuine": len(self.genuine),
            "impostor": len(self.impostor),
            "accuracy": accuracy,
            "accuracy_95": list(self._of(right, self.clusters)),
            "threshold": threshold,
            "equal_error_rate": float(verification.equal_error_rate(curve)[0]),
            "tar_at_fmr": rows,
            "intervals": "of pairs" if self.clusters is None else "of identities",
        }

    def _interval(self, one: verification.Tar) -> tuple[float, float]:
        """Of a TAR that is supported."""
        accepted = self.genuine >= (np.inf if one.threshold is None else one.threshold)
        clusters = None if self.clusters is None else self.clusters[: len(self.genuine)]
        return self._of(accepted, clusters)

    @staticmethod
    def _of(right: np.ndarray, clusters: Sequence[str] | None) -> tuple[float, float]:
        found = None
        # Where all are right, or none, every draw says the same; Wilson's interval knows better.
        if clusters is not None and 0 < right.sum() < len(right):
            found = intervals.by_cluster(*intervals.sums_by_cluster(clusters, right))
        return found or intervals.wilson(int(right.sum()), len(right))

"""One-to-one verification: error rates of genuine and impostor pairs at every threshold.

A pair is accepted when its score is greater than or equal to the threshold. FMR is the share
of impostor pairs accepted, FNMR the share of genuine pairs not accepted (ISO/IEC 19795-1).
Equal scores fall on the same side of every threshold, so ties are exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facemill.model.metrics.intervals import wilson


@dataclass(frozen=True)
class Roc:
    """Error rates at every threshold that separates the scores differently.

    Attributes:
        threshold: float64 [K], descending; the first is +inf (nothing accepted), the others
            are the distinct finite scores.
        fmr: float64 [K], ascending from 0 to 1, or to the share of impostor pairs that can match.
        fnmr: float64 [K], descending from 1 to 0, or to the share of genuine pairs that cannot.
    """

    threshold: np.ndarray
    fmr: np.ndarray
    fnmr: np.ndarray


@dataclass(frozen=True)
class Tar:
    """The true accept rate at one false accept rate.

    `tar`, `threshold` and `interval` (Wilson, 95 %) are None when there are fewer than `1 / far`
    impostor pairs: such a rate cannot be distinguished from zero.
    """

    far: float
    impostors: int
    tar: float | None
    threshold: float | None
    interval: tuple[float, float] | None

    @property
    def supported(self) -> bool:
        """Whether the rate is at least one impostor pair."""
        return self.tar is not None


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine similarity of rows, float64 [N] in -1..1, of float [N, D] and float [N, D].

    Raises:
        ValueError: the shapes differ, or a row is not finite or has no length.
    """
    if left.shape != right.shape or left.ndim != 2:
        raise ValueError(f"pairs must be two equal [N, D] arrays, got {left.shape}, {right.shape}")
    a = np.asarray(left, np.float64)
    b = np.asarray(right, np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if not np.all(np.isfinite(norms) & (norms > 0)):
        raise ValueError("embeddings must be finite and not zero")
    return np.clip(np.einsum("nd,nd->n", a, b) / norms, -1.0, 1.0)


def roc(genuine: np.ndarray, impostor: np.ndarray) -> Roc:
    """FMR and FNMR at every threshold.

    If pairs that failed to acquire are among them, scored -inf, the rates are FAR and FRR.

    Args:
        genuine: scores float [G]; -inf marks a pair that can never match.
        impostor: scores float [I]; -inf as above.

    Raises:
        ValueError: either is empty or holds NaN or +inf.
    """
    genuine, impostor = _scores(genuine, "genuine"), _scores(impostor, "impostor")
    distinct = np.unique(np.concatenate([genuine, impostor]))[::-1]
    threshold = np.concatenate([[np.inf], distinct[np.isfinite(distinct)]])
    accepted_impostors = impostor.size - np.searchsorted(impostor, threshold, side="left")
    rejected_genuine = np.searchsorted(genuine, threshold, side="left")
    return Roc(
        threshold=threshold,
        fmr=accepted_impostors / impostor.size,
        fnmr=rejected_genuine / genuine.size,
    )


def equal_error_rate(curve: Roc) -> tuple[float, float]:
    """(rate, threshold) where FMR and FNMR cross.

    When no threshold makes the two equal, the rate is where the straight line between the
    two neighbors crosses, and the threshold is the neighbor whose rates are closer together
    (the stricter one if they are as close). Both are NaN where so many pairs can never match
    that the rates do not cross.
    """
    gap = curve.fmr - curve.fnmr
    if gap[-1] < 0:
        return math.nan, math.nan
    after = int(np.argmax(gap >= 0))
    before = after - 1  # the first gap is -1, so `after` is at least 1
    share = -gap[before] / (gap[after] - gap[before])
    rate = curve.fmr[before] + share * (curve.fmr[after] - curve.fmr[before])
    nearest = after if gap[after] < -gap[before] else before
    return float(rate), float(curve.threshold[nearest])


def threshold_at(curve: Roc, fmr: float) -> float:
    """The lowest threshold whose false match rate does not exceed `fmr` (0..1).

    It is +inf when accepting the highest score alone already exceeds `fmr`.
    """
    return float(curve.threshold[last_at(curve, fmr)])


def last_at(curve: Roc, fmr: float) -> int:
    """The row of a curve with the lowest threshold whose false match rate does not exceed `fmr`."""
    # The slack admits 0.1 for 30 of 300, which 30 / 300 may exceed by a rounding error.
    return int(np.searchsorted(curve.fmr, fmr + 1e-12, side="right")) - 1


def thresholds_at(
    genuine: np.ndarray, impostor: np.ndarray, fmrs: Sequence[float]
) -> dict[str, float]:
    """Thresholds by false match rate, for those rates that the impostor pairs support.

    Args:
        genuine: scores float [G].
        impostor: scores float [I].
        fmrs: rates in 0..1; one below `1 / I` is left out, and so is one that no finite
            threshold meets.

    Returns:
        {"0.01": threshold, ...}, keys as `format(rate, "g")`.
    """
    curve = roc(genuine, impostor)
    found = {
        format(rate, "g"): threshold_at(curve, rate)
        for rate in fmrs
        if supports(len(impostor), rate)
    }
    return {rate: value for rate, value in found.items() if math.isfinite(value)}


def supports(impostors: int, far: float) -> bool:
    """Whether `impostors` pairs resolve the rate: at least one pair is expected at it."""
    return impostors * far >= 1 - 1e-9


def tar_at_far(genuine: np.ndarray, impostor: np.ndarray, fars: Sequence[float]) -> tuple[Tar, ...]:
    """True accept rates at false accept rates; see `Tar` for rates without support."""
    return tar_at_far_of(roc(genuine, impostor), len(genuine), len(impostor), fars)


def tar_at_far_of(
    curve: Roc, genuine: int, impostor: int, fars: Sequence[float]
) -> tuple[Tar, ...]:
    """The same from a curve.

    Args:
        curve: of the pairs.
        genuine: their number.
        impostor: their number.
        fars: rates in 0..1.
    """
    rows = []
    for far in fars:
        if not supports(impostor, far):
            rows.append(Tar(far, impostor, None, None, None))
            continue
        index = last_at(curve, far)
        missed = round(float(curve.fnmr[index]) * genuine)
        tar = 1 - missed / genuine
        interval = wilson(genuine - missed, genuine)
        rows.append(Tar(far, impostor, tar, float(curve.threshold[index]), interval))
    return tuple(rows)


def best_accuracy(genuine: np.ndarray, impostor: np.ndarray) -> tuple[float, float]:
    """(accuracy, threshold) of the best threshold on these very pairs: optimistic.

    Accuracy is over all pairs, without weights for the classes. The threshold lies midway between
    the lowest accepted score and the next score below it; of equally accurate thresholds,
    the highest is taken. If accepting no pair is best, the threshold is the next float above
    the highest score, so that it is finite.
    """
    genuine, impostor = _scores(genuine, "genuine"), _scores(impostor, "impostor")
    curve = roc(genuine, impostor)
    right = (1 - curve.fnmr) * genuine.size + (1 - curve.fmr) * impostor.size
    best = int(np.argmax(np.rint(right)))
    return float(np.rint(right[best]) / (genuine.size + impostor.size)), _between(curve, best)


def accuracy_at(genuine: np.ndarray, impostor: np.ndarray, threshold: float) -> float:
    """Share of all pairs decided correctly at a threshold; either class may be empty.

    Raises:
        ValueError: there is no pair at all.
    """
    total = len(genuine) + len(impostor)
    if not total:
        raise ValueError("accuracy needs at least one pair, got none")
    right = np.count_nonzero(np.asarray(genuine) >= threshold)
    right += np.count_nonzero(np.asarray(impostor) < threshold)
    return float(right / total)


def as_json(rows: Sequence[Tar]) -> list[dict[str, object]]:
    """The rows as plain values; a rate without support has a `reason` instead of figures."""
    shown: list[dict[str, object]] = []
    for row in rows:
        if row.interval is None or row.tar is None or row.threshold is None:
            why = f"not supported by {row.impostors} impostor pairs"
            shown.append({"far": row.far, "supported": False, "reason": why})
        else:
            finite = row.threshold if math.isfinite(row.threshold) else None
            shown.append(
                {
                    "far": row.far,
                    "supported": True,
                    "tar": row.tar,
                    "threshold": finite,
                    "tar_95": list(row.interval),
                }
            )
    return shown


def _scores(values: np.ndarray, name: str) -> np.ndarray:
    scores = np.sort(np.asarray(values, np.float64).ravel())
    # NaN sorts last, behind +inf.
    if not scores.size or not scores[-1] < np.inf:
        wrong = np.count_nonzero(~(scores < np.inf))
        raise ValueError(
            f"{name} scores must be at least one, none of them NaN or +inf, "
            f"got {scores.size}, {wrong} of them so"
        )
    return scores


def _between(curve: Roc, index: int) -> float:
    if index == 0:
        highest = curve.threshold[1] if curve.threshold.size > 1 else -np.inf
        return float(np.nextafter(highest, np.inf))
    upper = curve.threshold[index]
    if index + 1 == curve.threshold.size:
        return float(upper)
    lower = curve.threshold[index + 1]
    middle = (upper + lower) / 2
    # Between two neighboring floats the midpoint may round down to the score to be rejected.
    return float(middle if middle > lower else upper)

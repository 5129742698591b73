"""Error rates of groups at one threshold, and the gap between groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.model.metrics.intervals import by_cluster, of_difference, sums_by_cluster
from facemill.model.metrics.verification import supports

_MATCH, _NON_MATCH = "fmr", "fnmr"


@dataclass(frozen=True)
class _Share:
    """Errors and trials of each cluster of one group."""

    errors: np.ndarray
    trials: np.ndarray

    @property
    def rate(self) -> float:
        return float(self.errors.sum() / self.trials.sum())


def group_rates(
    scores: np.ndarray,
    genuine: np.ndarray,
    groups: Sequence[str | None],
    clusters: Sequence[str],
    threshold: float,
    fmr: float,
) -> dict[str, Any]:
    """FMR and FNMR of the pairs within each group, with intervals over clusters, and their gaps.

    Impostor pairs are drawn by one of their two people only, so the interval of FMR is somewhat
    too narrow where many pairs share the other one.

    Args:
        scores: float64 [N]; -inf for a pair that is rejected.
        genuine: bool [N].
        groups: [N], None for a pair that is within no group.
        clusters: [N], whose pairs are drawn together: the identity of one image.
        threshold: a pair is accepted from this score on.
        fmr: of all pairs at the threshold; a group of fewer than 1 / fmr impostor pairs has none.

    Returns:
        `groups`: a row for each, sorted; `gaps`: for each rate, the highest and the lowest group,
        the difference and its interval; None where fewer than two groups have the rate.
    """
    names = sorted({group for group in groups if group is not None})
    of_pair = np.array([-1 if group is None else names.index(group) for group in groups], np.int64)
    wrong = np.where(genuine, scores < threshold, scores >= threshold)
    who = np.array(clusters, object)
    rows: list[dict[str, Any]] = []
    shares: dict[str, dict[str, _Share]] = {_MATCH: {}, _NON_MATCH: {}}
    for number, name in enumerate(names):
        row: dict[str, Any] = {"group": name}
        for rate, kind, label in ((_NON_MATCH, True, "genuine"), (_MATCH, False, "impostor")):
            chosen = (of_pair == number) & (genuine == kind)
            count = int(np.count_nonzero(chosen))
            row |= {label: count, rate: None, f"{rate}_95": None}
            if not count or (rate == _MATCH and not supports(count, fmr)):
                continue
            share = _Share(*sums_by_cluster(who[chosen], wrong[chosen]))
            shares[rate][name] = share
            row[rate], interval = share.rate, by_cluster(share.errors, share.trials)
            row[f"{rate}_95"] = None if interval is None else list(interval)
        rows.append(row)
    return {
        "groups": rows,
        "gaps": {rate: _gap(found) for rate, found in shares.items()},
        "pairs_within": int(np.count_nonzero(of_pair >= 0)),
        "pairs_outside": int(np.count_nonzero(of_pair < 0)),
    }


def _gap(shares: dict[str, _Share]) -> dict[str, Any] | None:
    if len(shares) < 2:
        return None
    # Of equal rates, the first names count.
    order = sorted(shares, key=lambda name: (shares[name].rate, name))
    lowest, highest = order[0], order[-1]
    one, other = shares[highest], shares[lowest]
    interval = of_difference((one.errors, one.trials), (other.errors, other.trials))
    return {
        "highest": highest,
        "lowest": lowest,
        "difference": one.rate - other.rate,
        "interval_95": None if interval is None else list(interval),
    }

"""Exact nearest neighbors by cosine, the same bits for any division of probes and gallery.

faiss finds candidates by float32 products, whose last bits depend on the machine. The candidates
are scored again in float64 and ordered by score and name. Where candidates that faiss left out
could belong to the result, as among many copies of one photo, all of the gallery is scored.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

# Candidates beyond those that are wanted.
_SPARE = 8
# Probes of one call of faiss: its block of products has 4 MB then.
_PROBES = 1024
# Rows that are scored again at a time: 8 MB of 512 doubles each.
_RESCORED = 2048
# Probes of which all products are computed at a time.
_REDONE = 16
NOTHING = -1


@dataclass(frozen=True)
class Neighbors:
    """The nearest gallery rows of each probe, best first.

    Attributes:
        rows: int64 [P, K], index in the gallery; -1 where there are fewer than K.
        scores: float32 [P, K], cosine; -inf where there is no row.
    """

    rows: np.ndarray
    scores: np.ndarray


# Of probes and a number, the scores and rows of that many candidates each, -1 for none.
Candidates = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def nearest(
    probes: np.ndarray,
    gallery: np.ndarray,
    order: np.ndarray,
    k: int,
    own: np.ndarray | None = None,
    pool: Executor | None = None,
    candidates: Candidates | None = None,
) -> Neighbors:
    """The k gallery rows with the highest cosine to each probe; equal scores stand by `order`.

    Args:
        probes: float32 [P, D], of length 1.
        gallery: float32 [G, D], of length 1, C-contiguous.
        order: integers [G], the position of each row among the names of all.
        k: how many, 1 or more.
        own: int64 [P], the gallery row that is the probe itself and is left out, or -1; None for
            none.
        pool: threads that each search for some of the probes.
        candidates: what finds candidates in this gallery, see `approximate`; None for the exact
            search.
    """
    own = np.full(len(probes), NOTHING) if own is None else own
    find = _Finder(gallery, order, k, candidates)
    starts = range(0, len(probes), _PROBES)
    parts = [(probes[at : at + _PROBES], own[at : at + _PROBES]) for at in starts]
    found = list((pool.map if pool is not None else map)(find, parts))
    empty = Neighbors(np.zeros((0, k), np.int64), np.zeros((0, k), np.float32))
    return Neighbors(
        np.concatenate([empty.rows, *(one.rows for one in found)]),
        np.concatenate([empty.scores, *(one.scores for one in found)]),
    )


def scores_of(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The cosine of each pair of rows, summed in float64 and rounded: float32 [N].

    Args:
        left: float32 [N, D], of length 1.
        right: likewise.
    """
    scores = np.empty(len(left), np.float32)
    for start in range(0, len(left), _RESCORED):
        some = slice(start, start + _RESCORED)
        # Products of float32 are exact in float64; numpy sums each row by itself.
        products = np.multiply(left[some], right[some], dtype=np.float64)
        scores[some] = products.sum(axis=1)
    return scores


def rounding(size: int) -> float:
    """How far a float32 product of two unit vectors may be from the exact one, at most.

    Higham, Accuracy and Stability of Numerical Algorithms (2002), equation 3.5, and the rounding of
    the score itself.

    Args:
        size: D.
    """
    unit = 2.0**-24
    return size * unit / (1 - size * unit) * 1.001 + 2 * unit


def one_thread() -> Any:
    """faiss, set so that this thread computes by itself; returns the module.

    The setting of threads is that of the thread that calls it.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    # Small batches go through the same products as large ones.
    faiss.cvar.distance_compute_blas_threshold = 1
    return faiss


class _Finder:
    """Finds the neighbors of some probes in one gallery.

    Args:
        gallery: see `nearest`.
        order: see `nearest`.
        k: see `nearest`.
        candidates: see `nearest`.
    """

    def __init__(
        self, gallery: np.ndarray, order: np.ndarray, k: int, candidates: Candidates | None
    ) -> None:
        self._candidates = candidates
        self._gallery = gallery
        self._order = order
        self._k = k
        self._slack = 2 * rounding(gallery.shape[1])

    def __call__(self, given: tuple[np.ndarray, np.ndarray]) -> Neighbors:
        probes, own = given
        probes = np.ascontiguousarray(probes)
        # One more, since the probe itself may be among them.
        wanted = min(len(self._gallery), self._k + _SPARE + 1)
        if not wanted:
            return self._chosen(np.zeros((len(probes), 0), np.int64), probes, own)
        if self._candidates is not None:
            return self._chosen(self._candidates(probes, wanted)[1], probes, own)
        faiss = one_thread()
        found, rows = faiss.knn(probes, self._gallery, wanted, metric=faiss.METRIC_INNER_PRODUCT)
        result = self._chosen(rows, probes, own)
        if wanted < len(self._gallery):
            # What was left out scores no higher than the last candidate, give or take rounding.
            doubtful = np.flatnonzero(found[:, -1] + self._slack >= result.scores[:, -1])
            for start in range(0, len(doubtful), _REDONE):
                self._redo(result, probes, own, doubtful[start : start + _REDONE])
        return result

    def _chosen(self, rows: np.ndarray, probes: np.ndarray, own: np.ndarray) -> Neighbors:
        """The best k of candidates int64 [P, C], scored again."""
        count, width = rows.shape
        left = np.repeat(np.arange(count), width)
        flat = rows.reshape(-1)
        scores = np.empty(len(flat), np.float32)
        for start in range(0, len(flat), _RESCORED):
            some = slice(start, start + _RESCORED)
            scores[some] = scores_of(probes[left[some]], self._gallery[flat[some]])
        table = scores.reshape(count, width)
        left_out = (rows == own[:, None]) | (rows < 0)
        table = np.where(left_out, -np.inf, table).astype(np.float32)
        best = np.lexsort((self._order[rows], -table), axis=1)[:, : self._k]
        taken, kept = (np.take_along_axis(one, best, axis=1) for one in (rows, table))
        taken = np.where(np.isneginf(kept), NOTHING, taken)
        missing = ((0, 0), (0, self._k - taken.shape[1]))
        return Neighbors(
            np.pad(taken, missing, constant_values=NOTHING).astype(np.int64),
            np.pad(kept, missing, constant_values=-np.inf),
        )

    def _redo(
        self, result: Neighbors, probes: np.ndarray, own: np.ndarray, chosen: np.ndarray
    ) -> None:
        """Scores everything that may be among the best k of some probes."""
        products = self._gallery @ probes[chosen].T
        for column, probe in enumerate(chosen):
            # A result that is not full has -inf as its last score, and everything may belong to it.
            least = result.scores[probe, -1] - self._slack
            rows = np.flatnonzero(products[:, column] >= least)
            again = self._chosen(rows[None], probes[probe : probe + 1], own[probe : probe + 1])
            result.rows[probe], result.scores[probe] = again.rows[0], again.scores[0]


def best_of(
    probes: np.ndarray, names: Sequence[str], scores: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best k rows of each probe, from what several parts of a gallery found.

    Args:
        probes: integers [N], the probe of each row.
        names: [N], of the gallery rows; distinct for each probe.
        scores: float32 [N].
        k: how many for each probe at most.

    Returns:
        (int64 [M] the chosen rows, by probe and from the best on; int64 [M] their ranks, from 1).
    """
    by_name = np.argsort(np.array(names, object), kind="stable") if len(names) else np.zeros(0, int)
    order = by_name[np.lexsort((-scores[by_name], probes[by_name]))]
    ordered = probes[order]
    starts = np.flatnonzero(np.r_[len(order) > 0, ordered[1:] != ordered[:-1]])
    ranks = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)])) + 1
    kept = ranks <= k
    return order[kept], ranks[kept]

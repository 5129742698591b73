"""One-to-many identification: the search of probes in a gallery, and its rates.

An identity's score is that of its most similar image in the gallery. A probe's rank is the place
of its own identity among all of them. The names are those of ISO/IEC 19795-1; FNIR counts a mate
that is not on rank 1 as a miss, as NIST's FRTE 1:N does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facemill.model.metrics.intervals import wilson

# Products of a block of probes: 32 MB.
_PRODUCTS = 1 << 22
# Scores closer than this are equal. A product's last bits depend on how many were made at once.
_TIE = 1e-9
NOBODY = -1


@dataclass(frozen=True)
class Search:
    """What was found of each probe.

    Attributes:
        mate: float64 [P], score of the probe's own identity; -inf where the gallery lacks it.
        ahead: int64 [P], how many other identities have the mate's score or more.
        mate_row: int64 [P], the most similar row of the own identity, or NOBODY.
        other: float64 [P], highest score of another identity; -inf where there is none.
        other_row: int64 [P], its row in the gallery, or NOBODY.
    """

    mate: np.ndarray
    ahead: np.ndarray
    mate_row: np.ndarray
    other: np.ndarray
    other_row: np.ndarray

    @property
    def rank(self) -> np.ndarray:
        """The place of each probe's identity from 1 on, int64 [P]; 0 where the gallery lacks it."""
        return np.where(np.isfinite(self.mate), self.ahead + 1, 0)

    @property
    def mated(self) -> np.ndarray:
        """Scores of probes as genuine trials: -inf where the mate is not on rank 1."""
        return np.where(self.ahead == 0, self.mate, -np.inf)


@dataclass(frozen=True)
class RankRate:
    """The share of probes whose identity is among the first `rank`, with Wilson's interval."""

    rank: int
    found: int
    probes: int
    interval: tuple[float, float]

    @property
    def rate(self) -> float:
        """The share."""
        return self.found / self.probes


def search(
    probes: np.ndarray, probe_labels: np.ndarray, gallery: np.ndarray, gallery_labels: np.ndarray
) -> Search:
    """Compares all probes with all of the gallery, in blocks.

    Of equal scores, another identity's stands before the probe's own: a model that cannot tell two
    people apart has not found either.

    Args:
        probes: float32 [P, D], of length 1.
        probe_labels: int64 [P], numbers of identities; NOBODY for a probe of no known one.
        gallery: float32 [G, D], of length 1.
        gallery_labels: int64 [G], numbers of identities, 0 or more.

    Raises:
        ValueError: the gallery is empty, or labels and rows differ in number.
    """
    if not len(gallery) or len(gallery) != len(gallery_labels) or len(probes) != len(probe_labels):
        raise ValueError(
            "gallery must not be empty and each row must have a label, got "
            f"{len(gallery)} rows, {len(gallery_labels)} labels, {len(probes)} probes, "
            f"{len(probe_labels)} labels"
        )
    order = np.argsort(gallery_labels, kind="stable")
    labels = np.asarray(gallery_labels, np.int64)[order]
    known, starts = np.unique(labels, return_index=True)
    columns = gallery[order].astype(np.float64).T
    count = len(probes)
    found = Search(
        np.full(count, -np.inf),
        np.zeros(count, np.int64),
        np.full(count, NOBODY),
        np.full(count, -np.inf),
        np.full(count, NOBODY),
    )
    step = max(1, _PRODUCTS // len(gallery))
    for start in range(0, count, step):
        rows = slice(start, start + step)
        scores = probes[rows].astype(np.float64) @ columns
        own = labels == np.asarray(probe_labels)[rows, None]
        apart = known != np.asarray(probe_labels)[rows, None]
        has_own, has_other = own.any(axis=1), (~own).any(axis=1)
        for mask, present, best, best_row in (
            (own, has_own, found.mate, found.mate_row),
            (~own, has_other, found.other, found.other_row),
        ):
            masked = np.where(mask, scores, -np.inf)
            place = masked.argmax(axis=1)
            best[rows] = np.take_along_axis(masked, place[:, None], 1)[:, 0]
            best_row[rows] = np.where(present, order[place], NOBODY)
        of_identity = np.maximum.reduceat(scores, starts, axis=1)
        least = found.mate[rows, None] - _TIE
        found.ahead[rows] = np.count_nonzero(apart & (of_identity >= least), axis=1)
    return found


def count_ahead(
    probes: np.ndarray, mates: np.ndarray, distractors: np.ndarray, size_of: np.ndarray, sizes: int
) -> np.ndarray:
    """How many distractors of each size class have a probe's mate's score or more.

    Args:
        probes: float32 [P, D], of length 1.
        mates: float64 [P], scores of the mates.
        distractors: float32 [M, D], of length 1: a block of them.
        size_of: int64 [M], the class of each distractor.
        sizes: number of classes, S.

    Returns:
        int64 [P, S].
    """
    ahead = np.zeros((len(probes), sizes), np.int64)
    columns = distractors.astype(np.float64).T
    step = max(1, _PRODUCTS // max(1, len(distractors)))
    for start in range(0, len(probes), step):
        rows = slice(start, start + step)
        hits = probes[rows].astype(np.float64) @ columns >= mates[rows, None] - _TIE
        probe, column = np.nonzero(hits)
        np.add.at(ahead[rows], (probe, size_of[column]), 1)
    return ahead


def rank_rates(ranks: np.ndarray, at: Sequence[int]) -> tuple[RankRate, ...]:
    """Rates at some ranks.

    Args:
        ranks: int64 [P], from 1 on; 0 for a probe whose identity was not found at all.
        at: ranks, 1 or more.

    Raises:
        ValueError: there is no probe.
    """
    if not len(ranks):
        raise ValueError("rank rates need at least one probe, got none")
    rows = []
    for rank in at:
        found = int(np.count_nonzero((ranks > 0) & (ranks <= rank)))
        rows.append(RankRate(rank, found, len(ranks), wilson(found, len(ranks))))
    return tuple(rows)


def cmc(ranks: np.ndarray, most: int) -> np.ndarray:
    """The cumulative match characteristic: the rate at ranks 1 to `most`, float64 [most].

    Args:
        ranks: as in `rank_rates`.
        most: the last rank.
    """
    counts = np.bincount(np.clip(ranks, 0, most + 1), minlength=most + 2)[1 : most + 1]
    return np.cumsum(counts) / len(ranks)

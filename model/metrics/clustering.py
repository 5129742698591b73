"""How well groups of images agree with true identities: by pairs of images, and by images."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Precision, recall and their harmonic mean, each in [0, 1].

    Attributes:
        precision: how much of what stands together belongs together; 1 where nothing does.
        recall: how much of what belongs together stands together; 1 where nothing does.
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def as_json(self) -> dict[str, float]:
        """For a manifest."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


def pairwise(truth: Sequence[Hashable], found: Sequence[Hashable]) -> Agreement:
    """Over pairs of images: pairs in one group and of one identity, among those of either kind.

    Args:
        truth: [N], the identity of each image.
        found: [N], the group of each image.
    """
    both, identities, groups = _table(truth, found)
    together = _pairs(both)
    return Agreement(
        _share(together, _pairs(groups)),
        _share(together, _pairs(identities)),
    )


def bcubed(truth: Sequence[Hashable], found: Sequence[Hashable]) -> Agreement:
    """Over images: the mean share of an image's group, or identity, that is of both.

    Bagga and Baldwin, Entity-Based Cross-Document Coreferencing Using the Vector Space Model
    (COLING-ACL 1998). A large identity counts by its images, not by their pairs.

    Args:
        truth: see `pairwise`.
        found: see `pairwise`.
    """
    both, identities, groups, which = _indexed(truth, found)
    squares = both.astype(np.float64) ** 2
    count = max(1, int(both.sum()))
    return Agreement(
        float((squares / groups[which[1]]).sum()) / count if len(both) else 1.0,
        float((squares / identities[which[0]]).sum()) / count if len(both) else 1.0,
    )


def bcubed_by_identity(
    truth: Sequence[Hashable], found: Sequence[Hashable]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parts of `bcubed` that each identity gives, for an interval over identities.

    Args:
        truth: see `pairwise`.
        found: see `pairwise`.

    Returns:
        float64 [I] sums of the precision and of the recall of an identity's images, and int64 [I]
        how many images it has.
    """
    both, identities, groups, which = _indexed(truth, found)
    squares = both.astype(np.float64) ** 2
    precision, recall = (
        np.bincount(which[0], squares / whole, minlength=len(identities))
        for whole in (groups[which[1]], identities[which[0]])
    )
    return precision, recall, identities


def _indexed(
    truth: Sequence[Hashable], found: Sequence[Hashable]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images of each identity in each group, of each identity, of each group; the indices."""
    rows, columns = _codes(truth), _codes(found)
    cells, both = np.unique(np.stack([rows, columns]), axis=1, return_counts=True)
    return both, np.bincount(rows), np.bincount(columns), cells


def _table(
    truth: Sequence[Hashable], found: Sequence[Hashable]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _indexed(truth, found)[:3]


def _codes(names: Sequence[Hashable]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def _pairs(counts: np.ndarray) -> int:
    # Sums of whole numbers, exact for any collection.
    return sum(count * (count - 1) // 2 for count in counts.tolist())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0

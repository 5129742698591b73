"""Identities that a model takes for one another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Rows of the block of cosines that is in memory at once.
_BLOCK = 1024


@dataclass(frozen=True)
class Confusion:
    """Two identities whose images are alike for the model.

    Attributes:
        cosine: mean over all pairs of an image of one and an image of the other, in [-1, 1].
        first: rows of images of one identity, those first that are most like the other one.
        second: the same of the other.
    """

    cosine: float
    first: tuple[int, ...]
    second: tuple[int, ...]


def most_confused(
    vectors: np.ndarray, identities: Sequence[str], count: int, images: int
) -> list[Confusion]:
    """The pairs of identities with the highest mean cosine, the highest first.

    Args:
        vectors: float [N, D], embeddings of length 1.
        identities: N names.
        count: pairs, at most.
        images: of each identity, at most.
    """
    names, of = np.unique(np.array(identities, object), return_inverse=True)
    # The mean of all cosines between two sets of unit vectors is the product of their means.
    means = np.zeros((len(names), vectors.shape[1]))
    np.add.at(means, of, vectors)
    means /= np.bincount(of, minlength=len(names))[:, np.newaxis]
    found = _highest(means, count)
    rows = [np.flatnonzero(of == number) for number in range(len(names))] if found else []
    return [
        Confusion(
            cosine,
            _nearest(vectors, rows[one], means[other], images),
            _nearest(vectors, rows[other], means[one], images),
        )
        for cosine, one, other in found
    ]


def _highest(means: np.ndarray, count: int) -> list[tuple[float, int, int]]:
    """(cosine, one, other) of the highest products of different rows; ties go to lower rows."""
    found: list[tuple[float, int, int]] = []
    for start in range(0, len(means), _BLOCK):
        products = means[start : start + _BLOCK] @ means.T
        # Each pair once, and no row with itself.
        rows = np.arange(start, start + len(products))
        products[rows[:, np.newaxis] >= np.arange(len(means))] = -np.inf
        flat = products.ravel()
        kept = np.argpartition(-flat, count - 1)[:count] if count < flat.size else range(flat.size)
        for index in kept:
            row, column = divmod(int(index), len(means))
            if np.isfinite(flat[index]):
                found.append((float(flat[index]), start + row, column))
    return sorted(found, key=lambda one: (-one[0], one[1], one[2]))[:count]


def _nearest(
    vectors: np.ndarray, rows: np.ndarray, mean: np.ndarray, images: int
) -> tuple[int, ...]:
    order = np.argsort(-(vectors[rows] @ mean), kind="stable")[:images]
    return tuple(rows[order].tolist())

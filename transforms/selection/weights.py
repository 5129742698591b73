"""Arithmetic of balance: ranks within a class, copies and weights.

A class is an identity, or a value of an attribute. Every rule depends on the whole class and on
keyed hashes, never on the order in which images arrive. Nothing is deleted at the source.
"""

from collections.abc import Sequence

import numpy as np


def ranks(classes: np.ndarray, preference: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The rank of each image in its class, and the size of the class.

    Args:
        classes: [N], equal for images of one class.
        preference: arrays [N]; the lower an image's values, the lower its rank. The first array
            decides, the next ones break ties.

    Returns:
        (int64 [N] from 0 on, int64 [N]).
    """
    order = np.lexsort((*reversed(preference), classes))
    _, starts, inverse, counts = np.unique(
        classes[order], return_index=True, return_inverse=True, return_counts=True
    )
    rank, size = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - starts[inverse]
    size[order] = counts[inverse]
    return rank, size


def sums(classes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The sum over the class of each image: int64 [N] of whole numbers [N]."""
    _, inverse = np.unique(classes, return_inverse=True)
    # Exact: a float64 holds whole numbers to 2^53.
    return np.bincount(inverse, weights=counts).astype(np.int64)[inverse]


def oversampled(
    copies: np.ndarray, rank: np.ndarray, size: np.ndarray, records: np.ndarray, least: int
) -> np.ndarray:
    """How often each image is written so that each class has `least` records or more.

    Missing records are spread evenly over the class; the remainder goes to the preferred images.

    Args:
        copies: int64 [N], records of each image so far.
        rank: int64 [N], of each image in its class, see `ranks`.
        size: int64 [N], images of its class.
        records: int64 [N], sum of `copies` over its class, see `sums`.
        least: fewest records of each class.

    Returns:
        int64 [N], nowhere less than `copies`.
    """
    lacking = np.maximum(0, least - records)
    return copies + lacking // size + (rank < lacking % size)


def effective_number_weights(sizes: np.ndarray, beta: float) -> np.ndarray:
    """(1 - beta) / (1 - beta^n): Cui et al., Class-Balanced Loss, CVPR 2019, equation 4.

    Args:
        sizes: [N], n of each image's class, 1 or more.
        beta: in [0, 1). At 0 all images have the same weight; towards 1 all classes have the same
            total weight.

    Returns:
        float64 [N], in (0, 1], not normalized.
    """
    # For beta near 1, `1 - beta**n` would lose its digits; expm1 and log keep them.
    return (
        (1.0 - beta) / -np.expm1(np.asarray(sizes) * np.log(beta))
        if beta > 0
        else np.ones(len(sizes))
    )

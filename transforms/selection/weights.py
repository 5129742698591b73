"""Balance: how many images of a class stay, how often each is written, and what it weighs.

A class is an identity, or a value of an attribute. Every rule looks at a class as a whole and at
keyed hashes, never at the order in which images arrive. Nothing is deleted at the source.
"""

from collections.abc import Sequence

import numpy as np


def ranks(classes: np.ndarray, preference: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The place of each image in its class, and the size of the class.

    Args:
        classes: [N], equal for images of one class.
        preference: arrays [N]; the lower an image's values, the earlier its place. The first
            decides, the next ones where it is equal.

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

    What a class lacks is spread evenly; what then is left over goes to the preferred images.

    Args:
        copies: int64 [N], how often each is written so far.
        rank: int64 [N], its place in its class, see `ranks`.
        size: int64 [N], images of its class.
        records: int64 [N], sum of `copies` over its class, see `sums`.
        least: records of each class.

    Returns:
        int64 [N], nowhere below `copies`.
    """
    lacking = np.maximum(0, least - records)
    return copies + lacking // size + (rank < lacking % size)


def effective_number_weights(sizes: np.ndarray, beta: float) -> np.ndarray:
    """(1 - beta) / (1 - beta^n): Cui et al., Class-Balanced Loss, CVPR 2019, equation 4.

    Args:
        sizes: [N], n of each image's class, 1 or more.
        beta: in [0, 1); 0 weighs all the same, and towards 1 a class as a whole weighs the same.

    Returns:
        float64 [N], in (0, 1], not normalized.
    """
    # For beta near 1 both sides lose their digits unless they are computed as logarithms' powers.
    return (
        (1.0 - beta) / -np.expm1(np.asarray(sizes) * np.log(beta))
        if beta > 0
        else np.ones(len(sizes))
    )

"""A bound on the comparisons of images that many candidates resemble.

Photos of many people before one background are all candidates of each other. A copy is nearly
always among the candidates that look most similar at a few pixels, so these are compared first, and
an image whose nearest candidates are all other photos is not compared further.
"""

from collections.abc import Callable

import cv2
import numpy as np

from facemill.transforms.images import crop_variants

# After so many candidates that only a close comparison could tell apart, or so many failures of
# any kind, an image is not compared further.
MAX_CLOSE_FAILURES = 2
MAX_FAILURES = 32
_SIDE = 8


def compare_within_budget(
    first: np.ndarray,
    distance: np.ndarray,
    compared: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Compares pairs, the nearest of each first image before the others.

    Args:
        first: integers [N], the first image of each pair.
        distance: float [N], see `rough_distance`.
        compared: takes positions of pairs, and returns whether each is a copy, and whether each
            was compared closely: bool each.

    Returns:
        bool [N], whether each pair was compared. An image with few pairs has all compared.
    """
    order = np.lexsort((np.arange(len(first)), distance, first))
    starts = np.flatnonzero(np.r_[len(order) > 0, first[order][1:] != first[order][:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    owner = np.repeat(np.arange(len(starts)), sizes)
    block = (np.arange(len(order)) - np.repeat(starts, sizes)) // MAX_CLOSE_FAILURES
    close_failures = np.zeros(len(starts), np.int64)
    failures = np.zeros(len(starts), np.int64)
    done = np.zeros(len(first), bool)
    for number in range(int(block.max()) + 1 if len(block) else 0):
        left = (close_failures < MAX_CLOSE_FAILURES) & (failures < MAX_FAILURES)
        some = np.flatnonzero((block == number) & left[owner])
        if not len(some):
            break
        done[order[some]] = True
        same, close = compared(order[some])
        np.add.at(failures, owner[some[~same]], 1)
        np.add.at(close_failures, owner[some[~same & close]], 1)
    return done


def rough_distance(first: np.ndarray, second: np.ndarray, variant: np.ndarray) -> np.ndarray:
    """Distances at 8x8 pixels, without registration: float64 [N].

    Args:
        first: uint8 [N, S, S], grey.
        second: uint8 [N, S, S].
        variant: integers [N], indices into `crop_variants.FRAMES`.
    """
    pairs = zip(first, second, variant.tolist(), strict=True)
    return np.array(
        [np.abs(_rough(one, index) - _rough(two, 0)).mean() for one, two, index in pairs]
    )


def _rough(image: np.ndarray, variant: int) -> np.ndarray:
    if variant == crop_variants.MIRROR:
        image = image[:, ::-1]
    elif variant:
        left, top, right, bottom = np.round(crop_variants.FRAMES[variant] * len(image)).astype(int)
        image = image[top:bottom, left:right]
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    return (small - small.mean()) / (small.std() + 1)

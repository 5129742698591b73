"""Which split an image belongs to: by keyed hash, so that what is added later moves no other."""

from collections.abc import Sequence

import numpy as np

SPLITS = ("train", "val", "test")
# Kept images of nobody in particular: a gallery's distractors. They cannot be trained on.
UNLABELED = "unlabeled"
# Pictures under two identities, written apart for a person to look at.
QUARANTINE = "quarantine"
FOLDERS = (*SPLITS, UNLABELED, QUARANTINE)


def draw_splits(hashes: np.ndarray, fractions: Sequence[tuple[str, float]]) -> np.ndarray:
    """The split of each key; equal keys have the same one, and no key depends on the others.

    Args:
        hashes: uint64 [N], keyed hashes of identities or of images.
        fractions: (split, share) in order; the shares sum to 1.

    Returns:
        int8 [N], places in SPLITS.
    """
    names = [SPLITS.index(name) for name, share in fractions if share > 0]
    reached = np.cumsum([share for _, share in fractions if share > 0])
    # 53 bits are what a float64 holds exactly.
    uniform = (hashes >> np.uint64(11)).astype(np.float64) / (1 << 53)
    # The last share takes what rounding leaves over.
    found = np.searchsorted(reached[:-1], uniform, side="right")
    return np.array(names, np.int8)[found]

"""Which split an image belongs to: by keyed hash, so that what is added later moves no other, or
because it is asked for."""

from collections.abc import Sequence

import numpy as np

from facemill.transforms.core.rows import Rows
from facemill.transforms.dataset.split_names import SPLITS

# An identity's key, and the place in SPLITS of a split that is asked for one of its images.
SPLIT_REQUEST = np.dtype([("identity", "<u8"), ("split", "<i1")])


class SplitRequestRows(Rows):
    """SPLIT_REQUEST rows."""

    __slots__ = ()
    dtype = SPLIT_REQUEST


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


def split_requests(identities: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """What is asked of identities, each once: SPLIT_REQUEST [K], sorted.

    Args:
        identities: uint64 [N], keys, 0 for nobody, of whom nothing can be asked.
        splits: int [N], places in SPLITS, -1 for an image of which nothing is asked.
    """
    asking = (splits >= 0) & (identities != 0)
    found = np.zeros(np.count_nonzero(asking), SPLIT_REQUEST)
    found["identity"], found["split"] = identities[asking], splits[asking]
    return np.unique(found)


def resolve_split_requests(
    identities: np.ndarray, requests: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What is asked of each image's identity.

    Args:
        identities: uint64 [N], keys.
        requests: SPLIT_REQUEST [K].

    Returns:
        (int8 [N], a place in SPLITS, or -1 where nothing is asked; bool [N], whether more than one
        split is asked for).
    """
    if not len(requests):
        return np.full(len(identities), -1, np.int8), np.zeros(len(identities), bool)
    # Of each identity the lowest split comes first and the highest last.
    requests = np.unique(requests)
    keys = requests["identity"]
    first = np.minimum(np.searchsorted(keys, identities), len(keys) - 1)
    last = np.searchsorted(keys, identities, side="right") - 1
    found = keys[first] == identities
    lowest, highest = requests["split"][first], requests["split"][last]
    return np.where(found, lowest, np.int8(-1)), found & (lowest != highest)

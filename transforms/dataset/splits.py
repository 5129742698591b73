"""The split of an image: drawn by a keyed hash, so that later additions move no image, or requested
by the source."""

from collections.abc import Sequence

import numpy as np

from facemill.transforms.core.rows import Rows
from facemill.transforms.dataset.split_names import SPLITS

# An identity's key, and the index in SPLITS of the split that one of its images requests.
SPLIT_REQUEST = np.dtype([("identity", "<u8"), ("split", "<i1")])


class SplitRequestRows(Rows):
    """SPLIT_REQUEST rows."""

    __slots__ = ()
    dtype = SPLIT_REQUEST


def draw_splits(hashes: np.ndarray, fractions: Sequence[tuple[str, float]]) -> np.ndarray:
    """The split of each key; equal keys have the same split, and no key depends on the others.

    Args:
        hashes: uint64 [N], keyed hashes of identities or of images.
        fractions: (split, share) in order; the shares sum to 1.

    Returns:
        int8 [N], indices in SPLITS.
    """
    names = [SPLITS.index(name) for name, share in fractions if share > 0]
    reached = np.cumsum([share for _, share in fractions if share > 0])
    # 53 bits are what a float64 holds exactly.
    uniform = (hashes >> np.uint64(11)).astype(np.float64) / (1 << 53)
    # The last split also takes what rounding leaves over.
    found = np.searchsorted(reached[:-1], uniform, side="right")
    return np.array(names, np.int8)[found]


def split_requests(identities: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """The split requests of images by identity, each once: SPLIT_REQUEST [K], sorted.

    Args:
        identities: uint64 [N], keys; 0 for no identity, whose requests are ignored.
        splits: int [N], requested indices in SPLITS; -1 for an image without a request.
    """
    requesting = (splits >= 0) & (identities != 0)
    found = np.zeros(np.count_nonzero(requesting), SPLIT_REQUEST)
    found["identity"], found["split"] = identities[requesting], splits[requesting]
    return np.unique(found)


def resolve_split_requests(
    identities: np.ndarray, requests: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The split that is requested for each image's identity.

    Args:
        identities: uint64 [N], keys.
        requests: SPLIT_REQUEST [K].

    Returns:
        (int8 [N], an index in SPLITS, or -1 where none is requested; bool [N], whether more than
        one split is requested).
    """
    if not len(requests):
        return np.full(len(identities), -1, np.int8), np.zeros(len(identities), bool)
    # For each identity the lowest split comes first and the highest last.
    requests = np.unique(requests)
    keys = requests["identity"]
    first = np.minimum(np.searchsorted(keys, identities), len(keys) - 1)
    last = np.searchsorted(keys, identities, side="right") - 1
    found = keys[first] == identities
    lowest, highest = requests["split"][first], requests["split"][last]
    return np.where(found, lowest, np.int8(-1)), found & (lowest != highest)

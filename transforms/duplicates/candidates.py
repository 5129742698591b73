"""The rows that the searches for near duplicates read and return."""

from collections.abc import Iterator

import numpy as np

from facemill.transforms.core.rows import Rows
from facemill.transforms.scan.scan_chunk import USABLE

# An image to search: the representative of its group of equal pixels.
HASH = np.dtype([(name, USABLE[name]) for name in ("row_id", "fingerprint")])
# A candidate pair: the second image is near this variant of the first, at that Hamming distance of
# their hashes; see `crop_variants.FRAMES`.
PAIR = np.dtype([("first", "<u8"), ("second", "<u8"), ("variant", "<u2"), ("distance", "u1")])


class HashRows(Rows):
    """HASH rows."""

    __slots__ = ()
    dtype = HASH


class PairRows(Rows):
    """PAIR rows."""

    __slots__ = ()
    dtype = PAIR


# Hashes that one worker holds at a time, at 24 bytes each. Of more hashes, each worker holds those
# that share some bits.
TOGETHER = 1 << 21

_CHUNK = 512


def in_chunks(row_ids: np.ndarray, variant: np.ndarray, distance: np.ndarray) -> Iterator[PairRows]:
    """Candidate pairs in elements of some hundred.

    Args:
        row_ids: uint64 [P, 2].
        variant: integers [P].
        distance: integers [P].
    """
    pairs = np.zeros(len(row_ids), PAIR)
    pairs["first"], pairs["second"] = row_ids.T
    pairs["variant"], pairs["distance"] = variant, distance
    for start in range(0, len(pairs), _CHUNK):
        yield PairRows.of(pairs[start : start + _CHUNK])

"""What the searches for near duplicates take and give."""

from collections.abc import Iterator

import numpy as np

from facemill.transforms.core.rows import Rows
from facemill.transforms.scan.scan_chunk import USABLE

# An image to search: one of each group of equal pixels.
HASH = np.dtype([(name, USABLE[name]) for name in ("row_id", "fingerprint")])
# A candidate pair: which variant of the first picture the second looks like.
PAIR = np.dtype([("first", "<u8"), ("second", "<u8"), ("variant", "u1")])


class HashRows(Rows):
    """HASH rows."""

    __slots__ = ()
    dtype = HASH


class PairRows(Rows):
    """PAIR rows."""

    __slots__ = ()
    dtype = PAIR


# So many hashes one worker holds at a time, in 24 bytes each. Of more, each sees those that share
# some bits.
TOGETHER = 1 << 21

_CONFIRM_CHUNK = 512


def in_chunks(row_ids: np.ndarray, variant: np.ndarray) -> Iterator[PairRows]:
    """Candidate pairs as they travel: as many together as are confirmed at a time.

    Args:
        row_ids: uint64 [P, 2].
        variant: integers [P].
    """
    found = np.zeros(len(row_ids), PAIR)
    found["first"], found["second"] = row_ids.T
    found["variant"] = variant
    for start in range(0, len(found), _CONFIRM_CHUNK):
        yield PairRows.of(found[start : start + _CONFIRM_CHUNK])

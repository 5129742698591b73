"""Places: one number for each image of a run, by which its facts and pixels are found again.

What travels between stages and through groupings is a place and a few numbers; names, reasons and
pixels stay where the scan wrote them. A place follows from the listing alone (the number of the
chunk and the row in it), so the same input has the same places in every run and on every engine.
"""

import numpy as np

# Images in one chunk, so that an engine's cost per element is paid once for all of them.
CHUNK = 256

# Where an image comes from: the input, a dataset that is added to, a set to keep apart from.
NEW, BASE, HELD_OUT = range(3)

ROW_BITS = 12
_ORDINAL_BITS = 20
_ORIGIN_BITS = 2
_TASK_BITS = 64 - _ORIGIN_BITS - _ORDINAL_BITS - ROW_BITS
MAX_CHUNKS = 1 << _ORDINAL_BITS
MAX_TASKS = 1 << _TASK_BITS


def chunk_number(origin: int, task: int, ordinal: int) -> int:
    """The number of the `ordinal`-th chunk of a listing's `task`-th part, in [0, 2**52)."""
    return (origin << _TASK_BITS | task) << _ORDINAL_BITS | ordinal


def row_ids_of(chunk: int, count: int) -> np.ndarray:
    """The places of a chunk's first `count` rows: uint64 [count]."""
    return np.uint64(chunk << ROW_BITS) | np.arange(count, dtype=np.uint64)


def origin_of(row_id: int) -> int:
    """NEW, BASE or HELD_OUT."""
    return int(row_id) >> (64 - _ORIGIN_BITS)


def origins_of(row_ids: np.ndarray) -> np.ndarray:
    """NEW, BASE or HELD_OUT of each place: uint64 [N]."""
    return row_ids >> np.uint64(64 - _ORIGIN_BITS)


def origin_of_chunk(chunk: int) -> int:
    """NEW, BASE or HELD_OUT."""
    return origin_of(chunk << ROW_BITS)


def chunk_of(row_id: int) -> int:
    """The number of the chunk that a place is in."""
    return int(row_id) >> ROW_BITS


def row_of(row_id: int) -> int:
    """The row of a place in its chunk, from 0 on."""
    return int(row_id) & ((1 << ROW_BITS) - 1)

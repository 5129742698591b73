"""Row ids: one number for each image of a run, which locates its metadata and pixels.

Stages exchange and group row ids and a few numbers; names, reasons and pixels stay in the files
that the scan wrote. A row id packs the number of the chunk and the row in it, and follows from the
listing alone, so the same input has the same row ids in every run and on every runner.
"""

import numpy as np

# Images in one chunk, which share a runner's cost per element.
CHUNK = 256

# Where an image comes from: the input, the base dataset that is appended to, a held-out set.
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
    """The row ids of a chunk's first `count` rows: uint64 [count]."""
    return np.uint64(chunk << ROW_BITS) | np.arange(count, dtype=np.uint64)


def origin_of(row_id: int) -> int:
    """NEW, BASE or HELD_OUT."""
    return int(row_id) >> (64 - _ORIGIN_BITS)


def origins_of(row_ids: np.ndarray) -> np.ndarray:
    """NEW, BASE or HELD_OUT for each row id: uint64 [N]."""
    return row_ids >> np.uint64(64 - _ORIGIN_BITS)


def origin_of_chunk(chunk: int) -> int:
    """NEW, BASE or HELD_OUT."""
    return origin_of(chunk << ROW_BITS)


def chunk_of(row_id: int) -> int:
    """The number of the chunk that a row id is in."""
    return int(row_id) >> ROW_BITS


def row_of(row_id: int) -> int:
    """The row of a row id in its chunk, from 0 on."""
    return int(row_id) & ((1 << ROW_BITS) - 1)

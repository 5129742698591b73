"""The rows that stages exchange while shards are written. No Beam here, see `write_shard`."""

import numpy as np

from facemill.transforms.core.rows import Rows

# One record to write.
RECORD = np.dtype(
    [("row_id", "<u8"), ("shard", "<u8"), ("rank", "<u8"), ("copy", "<u4"), ("weight", "<f4")]
)
# Where the first copy of an image was written.
POSITION = np.dtype(
    [
        ("row_id", "<u8"),
        # Index in FOLDERS, index of the shard, and how many shards the folder has.
        ("folder", "u1"),
        ("shard", "<u4"),
        ("shards", "<u4"),
        ("position", "<u4"),
        # Where the frame of the record starts in the shard, in bytes.
        ("offset", "<u8"),
        ("weight", "<f4"),
    ]
)


class RecordRows(Rows):
    """RECORD rows."""

    __slots__ = ()
    dtype = RECORD


class PositionRows(Rows):
    """POSITION rows."""

    __slots__ = ()
    dtype = POSITION


# A record with the object and the bytes in which it is found.
PLACED = np.dtype([*RECORD.descr, ("group", "<u8"), ("offset", "<u8"), ("length", "<u4")])


class PlacedRows(Rows):
    """PLACED rows."""

    __slots__ = ()
    dtype = PLACED

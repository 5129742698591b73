"""Writing one shard. This module does not import Beam, since worker processes import it."""

import hashlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.transforms import storage
from facemill.transforms.core.rows import Rows
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.records import extra_features
from facemill.transforms.dataset.split_names import FOLDERS
from facemill.transforms.scan.staging import StagingReader

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

_BUFFER = 1 << 20


class RecordRows(Rows):
    """RECORD rows."""

    __slots__ = ()
    dtype = RECORD


class PositionRows(Rows):
    """POSITION rows."""

    __slots__ = ()
    dtype = POSITION


@dataclass(frozen=True)
class Written:
    """A shard that was written.

    Attributes:
        receipt: its path, relative to the dataset, bytes, SHA-256 and number of records.
        positions: POSITION [N], of the first copy of each of its images.
    """

    receipt: dict[str, Any]
    positions: np.ndarray


def write_shard(
    staging: str, output: str, name: str, records: np.ndarray, weighted: bool
) -> Written:
    """Writes a shard from the staging files, in the order of the records' ranks.

    Args:
        staging: the staging folder.
        output: the dataset's folder, which must exist.
        name: of the shard, see `transforms.shards.transform.shard_name`.
        records: RECORD [N], in any order.
        weighted: whether records carry a weight.

    Raises:
        RunError: this machine does not see the output.
    """
    records = records[np.lexsort((records["copy"], records["row_id"], records["rank"]))]
    receipt, offsets = _write(staging, os.path.join(output, name), records, weighted)
    first = np.flatnonzero(records["copy"] == 0)
    positions = np.zeros(len(first), POSITION)
    positions["row_id"] = records["row_id"][first]
    positions["folder"] = FOLDERS.index(name.split("/")[0])
    positions["shard"] = records["shard"][first]
    positions["shards"] = int(name.rpartition("-of-")[2].split(".")[0])
    positions["position"] = first
    positions["offset"] = offsets[first]
    positions["weight"] = records["weight"][first]
    return Written({"path": name, **receipt}, positions)


def _write(
    staging: str, path: str, records: np.ndarray, weighted: bool
) -> tuple[dict[str, Any], np.ndarray]:
    """Writes the file.

    Returns:
        (bytes, SHA-256 and number of records; uint64 [N] where each record starts, in bytes).
    """
    storage.make_folder(os.path.dirname(path))
    digest = hashlib.sha256()
    size = 0
    offsets = []
    with (
        StagingReader(staging) as reader,
        storage.new_file(path, sync=False, buffering=_BUFFER) as stream,
    ):
        for row_id, copy, weight in records[["row_id", "copy", "weight"]].tolist():
            extra = extra_features(copy, weight if weighted else None)
            framed = tfrecord.frame(reader.record(row_id) + extra)
            offsets.append(size)
            stream.write(framed)
            digest.update(framed)
            size += len(framed)
    receipt = {"bytes": size, "sha256": digest.hexdigest(), "records": len(records)}
    return receipt, np.array(offsets, np.uint64)

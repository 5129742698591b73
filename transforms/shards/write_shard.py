"""Writing one shard. This module does not import Beam, since worker processes import it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.records import extra_features
from facemill.transforms.dataset.split_names import FOLDERS
from facemill.transforms.scan.staging import StagingReader
from facemill.transforms.shards.regroup import read_placed
from facemill.transforms.shards.rows import PLACED, POSITION

_BUFFER = 1 << 20


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
    staging: str, output: OutputFiles, name: str, records: np.ndarray, weighted: bool
) -> Written:
    """Writes a shard from the staging files, in the order of the records' ranks.

    Args:
        staging: the staging folder.
        output: where the files of the dataset are written.
        name: of the shard, see `transforms.shards.transform.shard_name`.
        records: RECORD [N], or PLACED if the records were regrouped; in any order.
        weighted: whether records carry a weight.

    Raises:
        RunError: this machine does not see the output.
    """
    records = records[np.lexsort((records["copy"], records["row_id"], records["rank"]))]
    receipt, offsets = _write(staging, output, name, records, weighted)
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
    staging: str, output: OutputFiles, name: str, records: np.ndarray, weighted: bool
) -> tuple[dict[str, Any], np.ndarray]:
    """Writes the file.

    Returns:
        (bytes, SHA-256 and number of records; uint64 [N] where each record starts, in bytes).
    """
    digest = hashlib.sha256()
    size = 0
    offsets = []
    with (
        StagingReader(staging) as reader,
        output.new_file(name, _BUFFER) as stream,
    ):
        if records.dtype == PLACED:
            contents: Iterable[bytes] = read_placed(staging, records)
        else:
            contents = map(reader.record, records["row_id"].tolist())
        columns = records[["copy", "weight"]].tolist()
        for (copy, weight), content in zip(columns, contents, strict=True):
            extra = extra_features(copy, weight if weighted else None)
            framed = tfrecord.frame(content + extra)
            offsets.append(size)
            stream.write(framed)
            digest.update(framed)
            size += len(framed)
    receipt = {"bytes": size, "sha256": digest.hexdigest(), "records": len(records)}
    return receipt, np.array(offsets, np.uint64)

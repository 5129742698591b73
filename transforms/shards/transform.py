"""Writing shards: the key of a record determines its shard and rank; each shard is written once."""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from facemill.transforms import storage
from facemill.transforms.core.coders import register
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.core.processes import Calls
from facemill.transforms.core.totals import SumsOf
from facemill.transforms.core.windowed import at_end
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.split_names import FOLDERS
from facemill.transforms.selection.decisions import KEEP, DecisionRows
from facemill.transforms.shards.regroup import groups_of, regroup
from facemill.transforms.shards.rows import RECORD, PlacedRows, PositionRows, RecordRows
from facemill.transforms.shards.write_shard import Written, write_shard

register(DecisionRows, RecordRows, PlacedRows, PositionRows)

RECEIPTS_TAG = "receipts"

# A shard is read as one stream. There are enough shards for parallel readers, and none is too large
# to copy.
_RECORDS_PER_SHARD = 10_000
_USUAL_SHARDS = 16
_FEWEST_RECORDS = 500

_TRAIN = FOLDERS.index("train")
_SHARD_SALT, _RANK_SALT, _COPY_SALT = 16, 17, 1 << 20


def shard_count(records: int) -> int:
    """How many shards a split of so many records has: one for each 500, up to 16, and above
    160,000 records one for each 10,000; none if it is empty.
    """
    spread = min(_USUAL_SHARDS, math.ceil(records / _FEWEST_RECORDS))
    return max(math.ceil(records / _RECORDS_PER_SHARD), spread)


def shard_name(folder: str, index: int, count: int, version: int = 1) -> str:
    """Path of a shard relative to its dataset.

    Args:
        folder: one of FOLDERS.
        index: of the shard, from 0 on.
        count: of the shards that were written into the folder together.
        version: the version of the dataset that added them.
    """
    return f"{folder}/part-{index:05d}-of-{count:05d}{version_mark(version)}.tfrecord"


def version_mark(version: int) -> str:
    """The part of a file name that says which version of the dataset added the file."""
    return "" if version == 1 else f".v{version}"


def plan_records(rows: np.ndarray, shards: int, weight_scale: float) -> np.ndarray:
    """Plans the records of the kept images of one folder: each copy with its shard and rank.

    Args:
        rows: DECISION [N].
        shards: how many shards the folder has.
        weight_scale: by which weights are multiplied.

    Returns:
        RECORD [sum of copies].
    """
    repeated = np.repeat(rows, rows["copies"])
    starts = np.cumsum(rows["copies"], dtype=np.int64) - rows["copies"]
    records = np.zeros(len(repeated), RECORD)
    records["row_id"] = repeated["row_id"]
    records["copy"] = np.arange(len(repeated)) - np.repeat(starts, rows["copies"])
    records["weight"] = repeated["weight"] * weight_scale
    keys = repeated["order"]
    is_later_copy = records["copy"] > 0
    # Each copy has a key of its own, so that copies of an image are far apart.
    keys[is_later_copy] = splitmix64(
        keys[is_later_copy] + records["copy"][is_later_copy], _COPY_SALT
    )
    records["shard"] = splitmix64(keys, _SHARD_SALT) % np.uint64(max(1, shards))
    records["rank"] = splitmix64(keys, _RANK_SALT)
    return records


class WriteShards(beam.PTransform):
    """DecisionRows -> PositionRows, and a receipt per shard ("receipts").

    Args:
        staging: the staging folder.
        output: where the files of the dataset are written.
        weighted: whether records carry a weight.
        weight_scale: a side input of one number, by which weights are multiplied.
        version: of the dataset.
        workers: processes in each of the runner's worker processes; never changes the result.
    """

    def __init__(
        self,
        staging: str,
        output: OutputFiles,
        weighted: bool,
        weight_scale: beam.pvalue.AsSideInput,
        version: int = 1,
        workers: int = 1,
    ) -> None:
        super().__init__()
        self._version = version
        self._staging = staging
        self._writer = _WriteShard(staging, output, weighted, workers)
        self._weight_scale = weight_scale

    def expand(self, decisions: beam.PCollection) -> Any:
        """Builds the graph."""
        counts = SumsOf(
            decisions | "Folders" >> beam.FlatMap(_folder_sizes).with_output_types(tuple[int, int])
        )
        arguments = counts, self._weight_scale, self._version
        if storage.is_remote(self._staging):
            by_shard = (
                decisions
                | "ByGroup"
                >> beam.FlatMap(_by_group, *arguments).with_output_types(
                    tuple[int, tuple[str, RecordRows]]
                )
                | "GroupChunks" >> beam.GroupByKey()
                | "Regroup"
                >> beam.FlatMapTuple(functools.partial(regroup, self._staging)).with_output_types(
                    tuple[str, PlacedRows]
                )
            )
        else:
            by_shard = decisions | "ByShard" >> beam.FlatMap(
                _by_shard, *arguments
            ).with_output_types(tuple[str, RecordRows])
        return (
            by_shard
            | "GroupShards" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(self._writer).with_outputs(RECEIPTS_TAG, main="positions")
        )


def _kept(decided: DecisionRows) -> Iterator[tuple[int, np.ndarray]]:
    """(folder, DECISION array) of the images that are written."""
    rows = decided.array
    rows = rows[rows["reason"] == KEEP]
    for folder in np.unique(rows["split"]).tolist():
        yield folder, rows[rows["split"] == folder]


def _folder_sizes(decided: DecisionRows) -> Iterable[tuple[int, int]]:
    return [(folder, int(rows["copies"].sum())) for folder, rows in _kept(decided)]


def _by_shard(
    decided: DecisionRows, counts: Mapping[int, int], weight_scale: float, version: int
) -> Iterator[tuple[str, RecordRows]]:
    for folder, rows in _kept(decided):
        shards = shard_count(counts[folder])
        # Only train records have weights from rules of balance.
        scale = weight_scale if folder == _TRAIN else 1.0
        records = plan_records(rows, shards, scale)
        for index, part in RecordRows.divide(records, records["shard"]):
            yield shard_name(FOLDERS[folder], index, shards, version), part


def _by_group(
    decided: DecisionRows, counts: Mapping[int, int], weight_scale: float, version: int
) -> Iterator[tuple[int, tuple[str, RecordRows]]]:
    total = sum(counts.values())
    for name, part in _by_shard(decided, counts, weight_scale, version):
        groups = groups_of(part.array, total)
        for group, rows in RecordRows.divide(part.array, groups):
            yield group, (name, rows)


class _WriteShard(beam.DoFn):
    def __init__(self, staging: str, output: OutputFiles, weighted: bool, workers: int) -> None:
        self._staging = staging
        self._output = output
        self._weighted = weighted
        self._workers = workers

    def start_bundle(self) -> None:
        self._calls: Calls[Written] = Calls(self._workers)

    def process(
        self, group: tuple[str, Iterable[RecordRows | PlacedRows]]
    ) -> Iterator[PositionRows | TaggedOutput[Literal["receipts"], dict[str, Any]]]:
        name, parts = group
        kind: Any = PlacedRows if storage.is_remote(self._staging) else RecordRows
        records = kind.join(parts)
        arguments = (self._staging, self._output, name, records, self._weighted)
        for written in self._calls.call(write_shard, *arguments):
            yield TaggedOutput(RECEIPTS_TAG, written.receipt)
            yield PositionRows.of(written.positions)

    def finish_bundle(self) -> Iterable[Any]:
        for written in self._calls.rest():
            yield TaggedOutput(RECEIPTS_TAG, at_end(written.receipt))
            yield at_end(PositionRows.of(written.positions))

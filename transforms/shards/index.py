"""The index: one row for every listed image, as Parquet."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms.core.coders import register
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.core.merging import CoGroup
from facemill.transforms.core.reasons import IGNORED_FILE, reason_columns
from facemill.transforms.core.row_ids import ROW_BITS, chunk_of, row_ids_of
from facemill.transforms.core.rows import Kind, Rows
from facemill.transforms.dataset.fingerprint import content_sum
from facemill.transforms.dataset.image_metadata import ANALYZED, METADATA
from facemill.transforms.dataset.outcomes import DROPPED, IGNORED, KEPT, REJECTED
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.dataset.split_names import FOLDERS
from facemill.transforms.duplicates.verdicts import Exclusion
from facemill.transforms.scan.scan_chunk import Scanned
from facemill.transforms.scan.staging import read_all_metadata
from facemill.transforms.selection.decisions import DECISION, KEEP, DecisionRows
from facemill.transforms.selection.selection import explain
from facemill.transforms.shards.analyzed_rows import ANALYZED_ROWS, write_rows
from facemill.transforms.shards.rows import PositionRows
from facemill.transforms.shards.transform import shard_name, version_mark

INDEX = "index"
# Ending of the folder in the scratch that holds the row id of each of its rows.
ROW_IDS = "-row-ids"

# One worker holds the rows of one part while it sorts them: with all columns and the sorted copy a
# row takes 1 to 2 KB.
_ROWS_PER_PART = 65_536
_ROW_GROUP = 65_536
_PART_SALT = 32
_SHIFT = np.uint64(ROW_BITS)

# The fields of a decision that the index needs: a third of its bytes, since a runner may keep all
# decisions in memory.
_DECISION = np.dtype(
    [(name, DECISION[name]) for name in ("row_id", "reason", "have", "limit", "copies")]
)


class OutcomeRows(Rows):
    """Decisions, with the fields that the index needs."""

    __slots__ = ()
    dtype = _DECISION


register(DecisionRows, OutcomeRows, PositionRows, Exclusion)

_DECIDED = pa.schema(
    [
        ("outcome", pa.string()),
        ("reason_code", pa.string()),
        ("reason", pa.string()),
        ("duplicate_of", pa.string()),
        ("contradicts", pa.list_(pa.string())),
        ("similarity", pa.float32()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("position", pa.int64()),
        ("offset", pa.int64()),
        ("copies", pa.int32()),
        ("weight", pa.float32()),
    ]
)
_LISTED = ("image_id", "source", "identity")
# Columns that the statistics need and the index does not.
_INTERNAL = ("channel_mean", "channel_square_mean")
SCHEMA = pa.schema(
    [
        *(METADATA.field(name) for name in _LISTED),
        *_DECIDED,
        *(
            field
            for field in METADATA
            if field.name not in (*_LISTED, *_INTERNAL) and field.name not in _DECIDED.names
        ),
    ]
)


class WriteIndex(beam.PTransform):
    """Scanned -> a receipt per index part.

    Args:
        staging: the staging folder.
        files: where the files of the dataset are written.
        scratch: a folder for what the launcher reads and the dataset does not hold.
        exclusions: a PCollection of Exclusion.
        decisions: a PCollection of DecisionRows.
        positions: a PCollection of PositionRows.
        total: a PCollection of one number, how many images were listed.
        column: the attribute whose values are the classes of balance, or None.
        version: of the dataset.
    """

    def __init__(
        self,
        staging: str,
        files: OutputFiles,
        scratch: str,
        exclusions: beam.PCollection,
        decisions: beam.PCollection,
        positions: beam.PCollection,
        total: beam.PCollection,
        column: str | None,
        version: int = 1,
    ) -> None:
        super().__init__()
        self._fn = _WritePart(staging, files, scratch, column, version)
        self._exclusions = exclusions
        self._decisions = decisions
        self._positions = positions
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        total = self._total
        exclusions = self._exclusions | "ExclusionsByPart" >> beam.Map(
            _exclusion_by_part, total
        ).with_output_types(tuple[str, Exclusion])
        decisions = self._decisions | "DecisionsByPart" >> beam.FlatMap(
            _decisions_by_part, total
        ).with_output_types(tuple[str, OutcomeRows])
        positions = self._positions | "PositionsByPart" >> beam.FlatMap(
            _positions_by_part, total
        ).with_output_types(tuple[str, PositionRows])
        chunks = scanned | "ChunksByPart" >> beam.Map(_chunk_by_part, total).with_output_types(
            tuple[str, tuple[int, int]]
        )
        return (
            {
                "chunks": chunks,
                "exclusions": exclusions,
                "decisions": decisions,
                "positions": positions,
            }
            | "GroupParts" >> CoGroup()
            | "Write" >> beam.ParDo(self._fn)
        )


def _part_names(chunks: np.ndarray, total: int) -> tuple[np.ndarray, int]:
    count = group_count(total, _ROWS_PER_PART)
    return splitmix64(chunks, _PART_SALT) % np.uint64(count), count


def _part_name(index: int, count: int) -> str:
    return f"part-{index:05d}-of-{count:05d}"


def _part_of_chunk(chunk: int, total: int) -> str:
    (index,), count = _part_names(np.array([chunk], np.uint64), total)
    return _part_name(int(index), count)


def _chunk_by_part(scanned: Scanned, total: int) -> tuple[str, tuple[int, int]]:
    return _part_of_chunk(scanned.chunk, total), (scanned.chunk, scanned.count)


def _exclusion_by_part(exclusion: Exclusion, total: int) -> tuple[str, Exclusion]:
    return _part_of_chunk(chunk_of(exclusion.row_id), total), exclusion


def _decisions_by_part(decided: DecisionRows, total: int) -> Iterator[tuple[str, OutcomeRows]]:
    rows = decided.array
    needed = np.zeros(len(rows), _DECISION)
    for name in _DECISION.names or ():
        needed[name] = rows[name]
    yield from _by_part(OutcomeRows, needed, total)


def _positions_by_part(written: PositionRows, total: int) -> Iterator[tuple[str, PositionRows]]:
    yield from _by_part(PositionRows, written.array, total)


def _by_part(kind: type[Kind], rows: np.ndarray, total: int) -> Iterator[tuple[str, Kind]]:
    parts, count = _part_names(rows["row_id"] >> _SHIFT, total)
    for index, part in kind.divide(rows, parts):
        yield _part_name(index, count), part


class _WritePart(beam.DoFn):
    def __init__(
        self, staging: str, files: OutputFiles, scratch: str, column: str | None, version: int
    ) -> None:
        self._staging = staging
        self._files = files
        self._scratch = OutputFiles(scratch)
        self._column = column
        self._version = version

    def process(self, group: tuple[str, dict[str, Iterable[Any]]]) -> Iterator[dict[str, Any]]:
        name, found = f"{group[0]}{version_mark(self._version)}.parquet", group[1]
        chunks = sorted(found["chunks"])
        metadata = read_all_metadata(self._staging, [chunk for chunk, _ in chunks])
        row_ids = np.concatenate([row_ids_of(chunk, count) for chunk, count in chunks])
        decided = decide(
            metadata.select(["reason", "reason_code"]),
            row_ids,
            list(found["exclusions"]),
            OutcomeRows.join(found["decisions"]),
            PositionRows.join(found["positions"]),
            self._column,
            self._version,
        )
        rows = pa.table(
            [
                decided[field.name] if field.name in _DECIDED.names else metadata[field.name]
                for field in SCHEMA
            ],
            schema=SCHEMA,
        )
        order = pc.sort_indices(rows, [("image_id", "ascending")])
        path = f"{INDEX}/{name}"
        receipt = write_part(rows.take(order), self._files, path, _ROW_GROUP)
        # The report finds the images that it shows by these row ids, in the order of the rows.
        sorted_ids = pa.table({"row_id": pa.array(row_ids)}).take(order)
        write_part(sorted_ids, self._scratch, f"{INDEX}{ROW_IDS}/{name}", _ROW_GROUP)
        train = pc.and_(pc.equal(decided["outcome"], KEPT), pc.equal(decided["split"], "train"))
        analyzed = metadata.select(ANALYZED).filter(pc.fill_null(train, False))
        write_rows(analyzed, self._scratch.path(ANALYZED_ROWS), group[0])
        yield {"path": path, **receipt, "fingerprint": f"{content_sum(rows):064x}"}


def decide(
    rejected: pa.Table,
    row_ids: np.ndarray,
    exclusions: list[Exclusion],
    decisions: np.ndarray,
    positions: np.ndarray,
    column: str | None,
    version: int = 1,
) -> pa.Table:
    """Combines the outcomes of the images of some chunks into the decided columns of the index.

    Args:
        rejected: N rows of reason and reason_code from the scan, "" and null for usable images.
        row_ids: uint64 [N], in increasing order.
        exclusions: verdicts of the duplicate search.
        decisions: [K] of the other images, with the fields row_id, reason, have, limit and copies.
        positions: POSITION [W] of the images that were written.
        column: the attribute whose values are classes of balance, or None.
        version: of the dataset.

    Returns:
        N rows of the decided columns of the index.

    Raises:
        RunError: an image has no outcome, or two.
    """
    count = len(row_ids)
    outcome = np.full(count, None, object)
    columns: dict[str, np.ndarray] = {
        name: np.full(count, None, object) for name in _DECIDED.names if name != "outcome"
    }
    reasons, codes = (
        np.array(rejected[name].to_pylist(), object) for name in ("reason", "reason_code")
    )
    columns["reason"], columns["reason_code"] = reasons, codes
    outcome_count = (reasons != "").astype(np.int64)
    outcome[reasons != ""] = REJECTED
    outcome[np.isin(codes, [code.value for code in IGNORED_FILE])] = IGNORED
    for one in exclusions:
        row = int(np.searchsorted(row_ids, np.uint64(one.row_id)))
        outcome[row] = one.verdict.outcome
        columns["reason"][row] = str(one.verdict.reason)
        columns["reason_code"][row] = one.verdict.reason.code.value
        columns["duplicate_of"][row] = one.verdict.duplicate_of
        columns["contradicts"][row] = list(one.verdict.contradicts) or None
        columns["similarity"][row] = one.verdict.similarity
        outcome_count[row] += 1
    rows = np.searchsorted(row_ids, decisions["row_id"])
    outcome_count[rows] += 1
    outcome[rows] = np.where(decisions["reason"] == KEEP, KEPT, DROPPED)
    causes = decisions[["reason", "have", "limit"]]
    for value in np.unique(causes[causes["reason"] != KEEP]):
        reason, have, limit = value.tolist()
        for name, text in reason_columns(explain(reason, have, limit, column)).items():
            columns[name][rows[causes == value]] = text
    kept = rows[decisions["reason"] == KEEP]
    columns["copies"][kept] = decisions["copies"][decisions["reason"] == KEEP]
    _fill_positions(columns, row_ids, positions, version)
    if (outcome_count != 1).any() or any(columns["shard"][row] is None for row in kept.tolist()):
        raise RunError(
            "Every image must have one outcome, but some have none or two; this is a fault of "
            "facemill, so please report it."
        )
    columns["outcome"] = outcome
    return pa.table([pa.array(columns[field.name], field.type) for field in _DECIDED], _DECIDED)


def _fill_positions(
    columns: dict[str, np.ndarray], row_ids: np.ndarray, positions: np.ndarray, version: int
) -> None:
    rows = np.searchsorted(row_ids, positions["row_id"])
    written = positions[["folder", "shard", "shards"]]
    for value in np.unique(written):
        folder, shard, shards = value.tolist()
        same = rows[written == value]
        columns["split"][same] = FOLDERS[folder]
        columns["shard"][same] = shard_name(FOLDERS[folder], shard, shards, version)
    columns["position"][rows] = positions["position"]
    columns["offset"][rows] = positions["offset"]
    columns["weight"][rows] = positions["weight"]

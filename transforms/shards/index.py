"""The index: one row for every listed image, as Parquet."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.grouping import divide, group_count, join
from facemill.transforms.core.keyed import mixed
from facemill.transforms.core.row_ids import ROW_BITS, chunk_of, places_of
from facemill.transforms.dataset.image_metadata import ANALYZED, FACTS
from facemill.transforms.dataset.outcomes import DROPPED, KEPT, REJECTED
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.dataset.splits import FOLDERS
from facemill.transforms.duplicates.verdicts import SetAside
from facemill.transforms.scan.scan_chunk import Scanned
from facemill.transforms.scan.staging import read_facts
from facemill.transforms.selection.selection import DECISION, KEEP, explain
from facemill.transforms.shards.transform import shard_name, version_mark
from facemill.transforms.shards.write_shard import POSITION

TRAIN_TAG = "train"
# Ending of the folder beside the index that tells the place of each of its rows.
PLACES = "-places"

# One worker holds one part's rows while it sorts them: with all columns and their sorted copy 1 to
# 2 KB each.
_ROWS_PER_PART = 65_536
_ROW_GROUP = 65_536
_PART_SALT = 32
_SHIFT = np.uint64(ROW_BITS)

# What the index needs of a decision: a third of it, and an engine may keep all of them in memory.
_DECISION = np.dtype(
    [(name, DECISION[name]) for name in ("place", "reason", "have", "limit", "copies")]
)

_DECIDED = pa.schema(
    [
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("duplicate_of", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("position", pa.int64()),
        ("offset", pa.int64()),
        ("copies", pa.int32()),
        ("weight", pa.float32()),
    ]
)
_LISTED = ("image_id", "source", "identity")
# What the statistics need and the index does not.
_INTERNAL = ("channel_mean", "channel_square_mean")
SCHEMA = pa.schema(
    [
        *(FACTS.field(name) for name in _LISTED),
        *_DECIDED,
        *(
            field
            for field in FACTS
            if field.name not in (*_LISTED, *_INTERNAL) and field.name not in _DECIDED.names
        ),
    ]
)


class WriteIndex(beam.PTransform):
    """Scanned -> a receipt per index part, and tables of the train images under "train".

    Args:
        staging: the staging folder.
        folder: where the parts are written.
        set_aside: a PCollection of SetAside.
        decisions: DECISION arrays as bytes.
        positions: POSITION arrays as bytes.
        total: a PCollection of one number, how many images were listed.
        column: the attribute whose values are the classes of balance, or None.
        version: of the dataset.
    """

    def __init__(
        self,
        staging: str,
        folder: str,
        set_aside: beam.PCollection,
        decisions: beam.PCollection,
        positions: beam.PCollection,
        total: beam.PCollection,
        column: str | None,
        version: int = 1,
    ) -> None:
        super().__init__()
        self._fn = _WritePart(staging, folder, column, version)
        self._inputs = {"aside": set_aside, "decisions": decisions, "positions": positions}
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, scanned: beam.PCollection) -> Any:
        """Builds the graph."""
        total = self._total
        aside = self._inputs["aside"] | "AsideByPart" >> beam.Map(
            _aside_by_part, total
        ).with_output_types(tuple[str, SetAside])
        rows = {
            name: self._inputs[name]
            | f"{name.title()}ByPart"
            >> beam.FlatMap(_by_part, kind, total).with_output_types(tuple[str, bytes])
            for name, kind in (("decisions", DECISION), ("positions", POSITION))
        }
        chunks = scanned | "ChunkByPart" >> beam.Map(_chunk_by_part, total).with_output_types(
            tuple[str, tuple[int, int]]
        )
        return (
            {"chunks": chunks, "aside": aside, **rows}
            | "GroupParts" >> beam.CoGroupByKey()
            | "Write" >> beam.ParDo(self._fn).with_outputs(TRAIN_TAG, main="receipts")
        )


def _part_names(chunks: np.ndarray, total: int) -> tuple[np.ndarray, int]:
    count = group_count(total, _ROWS_PER_PART)
    return mixed(chunks, _PART_SALT) % np.uint64(count), count


def _part_name(index: int, count: int) -> str:
    return f"part-{index:05d}-of-{count:05d}"


def _part_of_chunk(chunk: int, total: int) -> str:
    (index,), count = _part_names(np.array([chunk], np.uint64), total)
    return _part_name(int(index), count)


def _chunk_by_part(scanned: Scanned, total: int) -> tuple[str, tuple[int, int]]:
    return _part_of_chunk(scanned.chunk, total), (scanned.chunk, scanned.count)


def _aside_by_part(aside: SetAside, total: int) -> tuple[str, SetAside]:
    return _part_of_chunk(chunk_of(aside.place), total), aside


def _by_part(data: bytes, kind: np.dtype, total: int) -> Iterator[tuple[str, bytes]]:
    rows = np.frombuffer(data, kind)
    parts, count = _part_names(rows["place"] >> _SHIFT, total)
    for index, part in divide(_needed(rows), parts):
        yield _part_name(index, count), part


def _needed(rows: np.ndarray) -> np.ndarray:
    if rows.dtype != DECISION:
        return rows
    slim = np.zeros(len(rows), _DECISION)
    for name in _DECISION.names or ():
        slim[name] = rows[name]
    return slim


class _WritePart(beam.DoFn):
    def __init__(self, staging: str, folder: str, column: str | None, version: int) -> None:
        self._staging = staging
        self._root, self._top = os.path.split(folder)
        self._column = column
        self._version = version

    def process(
        self, group: tuple[str, dict[str, Iterable[Any]]]
    ) -> Iterator[dict[str, Any] | TaggedOutput[Literal["train"], pa.Table]]:
        name, found = f"{group[0]}{version_mark(self._version)}.parquet", group[1]
        chunks = sorted(found["chunks"])
        facts = pa.concat_tables(read_facts(self._staging, chunk) for chunk, _ in chunks)
        places = np.concatenate([places_of(chunk, count) for chunk, count in chunks])
        decided = decide(
            facts["reason"],
            places,
            list(found["aside"]),
            join(found["decisions"], _DECISION),
            join(found["positions"], POSITION),
            self._column,
            self._version,
        )
        rows = pa.table(
            [
                decided[field.name] if field.name in _DECIDED.names else facts[field.name]
                for field in SCHEMA
            ],
            schema=SCHEMA,
        )
        order = pc.sort_indices(rows, [("image_id", "ascending")])
        receipt = write_part(rows.take(order), self._root, f"{self._top}/{name}", _ROW_GROUP)
        yield {"path": f"index/{name}", **receipt, "fingerprint": f"{content_sum(rows):064x}"}
        # For the report, which shows pictures: where each row's are, in the order of the rows.
        located = pa.table({"place": pa.array(places)}).take(order)
        write_part(located, self._root, f"{self._top}{PLACES}/{name}", _ROW_GROUP)
        train = pc.and_(pc.equal(decided["outcome"], KEPT), pc.equal(decided["split"], "train"))
        chosen = facts.select(ANALYZED).filter(pc.fill_null(train, False))
        if len(chosen):
            yield TaggedOutput(TRAIN_TAG, chosen)


def decide(
    rejected: pa.ChunkedArray,
    places: np.ndarray,
    aside: list[SetAside],
    decisions: np.ndarray,
    positions: np.ndarray,
    column: str | None,
    version: int = 1,
) -> pa.Table:
    """Brings together what became of each image of some chunks.

    Args:
        rejected: N reasons of the scan, "" where there is none.
        places: uint64 [N], in increasing order.
        aside: verdicts of the duplicate search.
        decisions: of the others, [K] with the fields place, reason, have, limit and copies.
        positions: POSITION [W] of those that were written.
        column: the attribute whose values are classes of balance, or None.
        version: of the dataset.

    Returns:
        N rows of the index's decided columns.

    Raises:
        RunError: an image has no outcome, or two.
    """
    count = len(places)
    outcome = np.full(count, None, object)
    columns: dict[str, np.ndarray] = {
        name: np.full(count, None, object) for name in _DECIDED.names if name != "outcome"
    }
    reasons = np.array(rejected.to_pylist(), object)
    columns["reason"] = reasons
    seen = (reasons != "").astype(np.int64)
    outcome[reasons != ""] = REJECTED
    for one in aside:
        row = int(np.searchsorted(places, np.uint64(one.place)))
        outcome[row] = one.verdict.outcome
        columns["reason"][row] = one.verdict.reason
        columns["duplicate_of"][row] = one.verdict.duplicate_of
        seen[row] += 1
    rows = np.searchsorted(places, decisions["place"])
    seen[rows] += 1
    outcome[rows] = np.where(decisions["reason"] == KEEP, KEPT, DROPPED)
    told = decisions[["reason", "have", "limit"]]
    for value in np.unique(told[told["reason"] != KEEP]):
        reason, have, limit = value.tolist()
        columns["reason"][rows[told == value]] = explain(reason, have, limit, column)
    kept = rows[decisions["reason"] == KEEP]
    columns["copies"][kept] = decisions["copies"][decisions["reason"] == KEEP]
    _place(columns, places, positions, version)
    if (seen != 1).any() or any(columns["shard"][row] is None for row in kept.tolist()):
        raise RunError(
            "Every image must have one outcome, but some have none or two; this is a fault of "
            "facemill, so please report it."
        )
    columns["outcome"] = outcome
    return pa.table([pa.array(columns[field.name], field.type) for field in _DECIDED], _DECIDED)


def _place(
    columns: dict[str, np.ndarray], places: np.ndarray, positions: np.ndarray, version: int
) -> None:
    rows = np.searchsorted(places, positions["place"])
    written = positions[["folder", "shard", "shards"]]
    for value in np.unique(written):
        folder, shard, shards = value.tolist()
        same = rows[written == value]
        columns["split"][same] = FOLDERS[folder]
        columns["shard"][same] = shard_name(FOLDERS[folder], shard, shards, version)
    columns["position"][rows] = positions["position"]
    columns["offset"][rows] = positions["offset"]
    columns["weight"][rows] = positions["weight"]


def content_sum(rows: pa.Table) -> int:
    """A number below 2**256, the same for the same set of (image_id, SHA-256 of the file).

    Sums of parts add up to that of the whole, modulo 2**256.
    """
    total = 0
    for key, digest in zip(rows["image_id"].to_pylist(), rows["sha256"].to_pylist(), strict=True):
        entry = f"{key}\0{digest or ''}".encode()
        # A sum does not depend on the order, and unlike XOR notices a doubled entry.
        total += int.from_bytes(hashlib.sha256(entry).digest(), "big")
    return total % (1 << 256)

"""The index: one row for every listed image, as Parquet."""

import dataclasses
import math
import os
import secrets
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage
from transforms.keyed import keyed_hash
from transforms.rows import Row, partition

SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("source", pa.string()),
        ("identity", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("duplicate_of", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("position", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("pixel_sha256", pa.string()),
        ("sharpness", pa.float32()),
        ("brightness", pa.float32()),
        ("contrast", pa.float32()),
    ]
)

# One worker holds one part's rows while it sorts them.
_ROWS_PER_PART = 200_000
_ROW_GROUP = 65_536


def table(rows: Iterable[Row]) -> pa.Table:
    """The rows as a table of SCHEMA, sorted by image_id."""
    ordered = sorted(rows, key=lambda row: row.image_id)
    columns = [[getattr(row, name) for row in ordered] for name in SCHEMA.names]
    return pa.table(
        [pa.array(values, kind) for values, kind in zip(columns, SCHEMA.types, strict=True)],
        schema=SCHEMA,
    )


class WriteIndex(beam.PTransform):
    """list[Row] -> a receipt per index part.

    Args:
        folder: where the parts are written.
        counts: a PCollection of one number, how many images were listed.
    """

    def __init__(self, folder: str, counts: beam.PCollection) -> None:
        super().__init__()
        self._folder = folder
        self._counts = counts

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            rows
            | "ByPart"
            >> beam.FlatMap(_by_part, beam.pvalue.AsSingleton(self._counts)).with_output_types(
                tuple[str, list[Row]]
            )
            | "GroupParts" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write, self._folder)
        )


def _by_part(rows: list[Row], listed: int) -> Iterable[tuple[str, list[Row]]]:
    count = max(1, math.ceil(listed / _ROWS_PER_PART))
    parts = partition(rows, lambda row: keyed_hash(0, "index", row.image_id) % count)
    return [(f"part-{index:05d}-of-{count:05d}.parquet", part) for index, part in parts.items()]


def _write(group: tuple[str, Iterable[list[Row]]], folder: str) -> dict[str, Any]:
    name, parts = group
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    temporary = f"{path}.tmp-{secrets.token_hex(6)}"
    rows = [row for part in parts for row in part]
    pq.write_table(table(rows), temporary, compression="zstd", row_group_size=_ROW_GROUP)
    os.replace(temporary, path)
    return {
        "path": f"index/{name}",
        "bytes": os.path.getsize(path),
        "sha256": storage.sha256(path),
        "rows": len(rows),
    }


# The columns of a row and of the file are one list; a difference would shift every value.
if [field.name for field in dataclasses.fields(Row)] != SCHEMA.names:
    raise AssertionError("the index's schema must name the fields of Row in their order")

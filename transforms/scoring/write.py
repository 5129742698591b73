"""Writing embeddings and errors as Parquet, each part once, in the order of its keys."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from transforms.grouping import partition
from transforms.keyed import keyed_hash
from transforms.parts import write_part
from transforms.scoring.rows import Failure, Scored

# A worker holds one part's embeddings while it sorts them: at 512 numbers each, 100 MB.
_ROWS_PER_PART = 50_000
_ROW_GROUP = 8_192

ERRORS = pa.schema([("image_id", pa.string()), ("source", pa.string()), ("reason", pa.string())])


def schema(embedding_size: int) -> pa.Schema:
    """Columns of an embeddings part."""
    return pa.schema(
        [
            ("image_id", pa.string()),
            ("source", pa.string()),
            ("identity", pa.string()),
            # Of four numbers, but pyarrow cannot read back a null list of fixed size.
            ("box", pa.list_(pa.float32())),
            ("quality", pa.float32()),
            ("embedding", pa.list_(pa.float32(), embedding_size)),
            ("model_id", pa.string()),
        ]
    )


def table(rows: Iterable[Scored], embedding_size: int, model_id: str) -> pa.Table:
    """The rows as a table of `schema`, sorted by image_id; box and quality are null.

    No detector runs before scoring, so there is no box, and the quality belongs to it.
    """
    ordered = sorted(rows, key=lambda row: row.image_id)
    values = np.frombuffer(b"".join(row.embedding for row in ordered), "<f4")
    kind = schema(embedding_size)
    return pa.table(
        [
            pa.array([row.image_id for row in ordered], pa.string()),
            pa.array([row.source for row in ordered], pa.string()),
            pa.array([row.identity for row in ordered], pa.string()),
            pa.nulls(len(ordered), kind.field("box").type),
            pa.nulls(len(ordered), pa.float32()),
            pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), embedding_size),
            pa.array([model_id] * len(ordered), pa.string()),
        ],
        schema=kind,
    )


class WriteEmbeddings(beam.PTransform):
    """list[Scored] -> a receipt for each part.

    Args:
        folder: where the parts are written.
        embedding_size: D.
        model_id: of the model.
        total: a PCollection of one number, how many images were listed.
    """

    def __init__(
        self, folder: str, embedding_size: int, model_id: str, total: beam.PCollection
    ) -> None:
        super().__init__()
        self._folder = folder
        self._size = embedding_size
        self._model_id = model_id
        self._total = total

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            rows
            | "ByPart"
            >> beam.FlatMap(_by_part, beam.pvalue.AsSingleton(self._total)).with_output_types(
                tuple[str, list[Scored]]
            )
            | "GroupParts" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write_embeddings, self._folder, self._size, self._model_id)
        )


class WriteErrors(beam.PTransform):
    """list[Failure] -> a receipt for the part of errors; none without failures.

    Args:
        folder: where `errors/` is written.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def expand(self, failures: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            failures
            | "ToPart" >> beam.Map(_error_part).with_output_types(tuple[str, list[Failure]])
            | "GroupErrors" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write_errors, self._folder)
        )


def _by_part(rows: list[Scored], total: int) -> Iterator[tuple[str, list[Scored]]]:
    count = max(1, math.ceil(total / _ROWS_PER_PART))
    parts = partition(rows, lambda row: keyed_hash(0, "embedding", row.image_id) % count)
    for index, part in parts.items():
        yield f"part-{index:05d}-of-{count:05d}.parquet", part


def _error_part(failures: list[Failure]) -> tuple[str, list[Failure]]:
    # A run with many errors fails, so those of a run that counts fit one part.
    return "errors/part-00000-of-00001.parquet", failures


def _write_embeddings(
    group: tuple[str, Iterable[list[Scored]]], folder: str, embedding_size: int, model_id: str
) -> dict[str, Any]:
    name, parts = group
    rows = [row for part in parts for row in part]
    return _write(table(rows, embedding_size, model_id), folder, name)


def _write_errors(group: tuple[str, Iterable[list[Failure]]], folder: str) -> dict[str, Any]:
    name, parts = group
    rows = sorted((row for part in parts for row in part), key=lambda row: row.image_id)
    columns = [pa.array([getattr(row, key) for row in rows], pa.string()) for key in ERRORS.names]
    return _write(pa.table(columns, schema=ERRORS), folder, name)


def _write(rows: pa.Table, folder: str, name: str) -> dict[str, Any]:
    return {"path": name, **write_part(rows, folder, name, _ROW_GROUP)}

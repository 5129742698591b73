"""Writes embeddings and errors as Parquet; each part is written once, sorted by image_id."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count, partition
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.reasons import IGNORED_FILE, reason_columns
from facemill.transforms.dataset.fingerprint import name_sum
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.scoring.rows import Failure, Measures, Scored

register(Failure, Scored)

# A worker holds the embeddings of one part while it sorts them: 100 MB if D is 512.
_ROWS_PER_PART = 50_000
_ROW_GROUP = 8_192

_MEASURES = tuple(field.name for field in dataclasses.fields(Measures))

ERRORS = pa.schema(
    [(name, pa.string()) for name in ("image_id", "source", "reason_code", "reason")]
)


def schema(embedding_size: int) -> pa.Schema:
    """Columns of an embeddings part.

    Args:
        embedding_size: D.
    """
    return pa.schema(
        [
            ("image_id", pa.string()),
            ("source", pa.string()),
            ("identity", pa.string()),
            *(METADATA.field(name) for name in _MEASURES),
            ("embedding", pa.list_(pa.float32(), embedding_size)),
            ("model_id", pa.string()),
        ]
    )


def table(rows: Iterable[Scored], embedding_size: int, model_id: str) -> pa.Table:
    """The rows as a table of `schema`, sorted by image_id.

    Args:
        rows: each with an embedding float32 [D].
        embedding_size: D.
        model_id: the `model_id` of the model.
    """
    ordered = sorted(rows, key=lambda row: row.image_id)
    values = np.frombuffer(b"".join(row.embedding for row in ordered), "<f4")
    columns = {
        "image_id": [row.image_id for row in ordered],
        "source": [row.source for row in ordered],
        "identity": [row.identity for row in ordered],
        **{name: [getattr(row.measures, name) for row in ordered] for name in _MEASURES},
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(values), embedding_size),
        "model_id": [model_id] * len(ordered),
    }
    return pa.table(columns, schema=schema(embedding_size))


class WriteEmbeddings(beam.PTransform):
    """list[Scored] -> a receipt for each part.

    Args:
        files: where the files of the embeddings are written.
        embedding_size: D.
        model_id: the `model_id` of the model.
        total: a PCollection of one number, how many images were listed.
    """

    def __init__(
        self, files: OutputFiles, embedding_size: int, model_id: str, total: beam.PCollection
    ) -> None:
        super().__init__()
        self._files = files
        self._size = embedding_size
        self._model_id = model_id
        self._total = total

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            rows
            | "ByPart"
            >> beam.FlatMap(
                _by_part, "part", beam.pvalue.AsSingleton(self._total)
            ).with_output_types(tuple[str, list[Scored]])
            | "GroupParts" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write_embeddings, self._files, self._size, self._model_id)
        )


class CountIgnored(beam.PTransform):
    """list[Failure] -> one number: how many are of files that were never meant as images."""

    def expand(self, failures: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            failures
            | "Ignored" >> beam.Map(_count_ignored).with_output_types(int)
            | "Total" >> beam.CombineGlobally(sum)
        )


class WriteErrors(beam.PTransform):
    """list[Failure] -> a receipt for each part of `errors/`; none without failures.

    Files that were never meant as images are no errors, see `CountIgnored`.

    Args:
        files: where the files of the embeddings are written.
    """

    def __init__(self, files: OutputFiles) -> None:
        super().__init__()
        self._files = files

    def expand(self, failures: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        # Most runs have few failures, so the number of parts depends on the failures alone.
        total = (
            failures
            | "Sizes" >> beam.Map(_count_errors).with_output_types(int)
            | "Total" >> beam.CombineGlobally(sum)
        )
        return (
            failures
            | "Errors" >> beam.Map(_errors).with_output_types(list[Failure])
            | "ByPart"
            >> beam.FlatMap(
                _by_part, "errors/part", beam.pvalue.AsSingleton(total)
            ).with_output_types(tuple[str, list[Failure]])
            | "GroupErrors" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write_errors, self._files)
        )


def _is_ignored(failure: Failure) -> bool:
    return failure.reason.code in IGNORED_FILE


def _count_ignored(failures: Sequence[Failure]) -> int:
    return sum(map(_is_ignored, failures))


def _count_errors(failures: Sequence[Failure]) -> int:
    return len(failures) - _count_ignored(failures)


def _errors(failures: Sequence[Failure]) -> list[Failure]:
    return [one for one in failures if not _is_ignored(one)]


def _by_part(
    rows: Sequence[Scored | Failure], prefix: str, total: int
) -> Iterator[tuple[str, list[Scored | Failure]]]:
    """The rows by the name of their part, which a hash of the image_id decides.

    Args:
        rows: rows of one batch or chunk group.
        prefix: prefix of the names of the parts.
        total: an upper bound of the rows in all parts.
    """
    count = group_count(total, _ROWS_PER_PART)
    parts = partition(rows, lambda row: keyed_hash(0, "embedding", row.image_id) % count)
    for index, part in parts.items():
        yield f"{prefix}-{index:05d}-of-{count:05d}.parquet", part


def _write_embeddings(
    group: tuple[str, Iterable[list[Scored]]],
    files: OutputFiles,
    embedding_size: int,
    model_id: str,
) -> dict[str, Any]:
    name, parts = group
    rows = [row for part in parts for row in part]
    return _write(table(rows, embedding_size, model_id), files, name)


def _write_errors(group: tuple[str, Iterable[list[Failure]]], files: OutputFiles) -> dict[str, Any]:
    name, parts = group
    rows = sorted((row for part in parts for row in part), key=lambda row: row.image_id)
    columns = [
        {"image_id": row.image_id, "source": row.source, **reason_columns(row.reason)}
        for row in rows
    ]
    return _write(pa.Table.from_pylist(columns, ERRORS), files, name)


def _write(rows: pa.Table, files: OutputFiles, name: str) -> dict[str, Any]:
    written = write_part(rows, files, name, _ROW_GROUP)
    return {"path": name, **written, "names": f"{name_sum(rows):064x}"}

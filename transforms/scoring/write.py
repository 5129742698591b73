"""Writes embeddings and errors as Parquet; each part is written once, sorted by image_id."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms import storage
from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count, partition
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.reasons import IGNORED_FILE, reason_columns
from facemill.transforms.core.totals import SumOf
from facemill.transforms.dataset.fingerprint import name_sum
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.scoring.dtypes import FLOAT16, FLOAT32, INT8
from facemill.transforms.scoring.rows import Failure, Measures, Scored

register(Failure, Scored)

# A worker holds the embeddings of one part while it sorts them: 100 MB if D is 512.
_ROWS_PER_PART = 50_000
_ROW_GROUP = 8_192

_MEASURES = tuple(field.name for field in dataclasses.fields(Measures))

ERRORS = pa.schema(
    [(name, pa.string()) for name in ("image_id", "source", "reason_code", "reason", "sha256")]
)
REMOVED = pa.schema([("image_id", pa.string())])

# What the detector and the crop say of an image.
FACES = pa.schema(
    [
        ("image_id", pa.string()),
        ("source", pa.string()),
        ("identity", pa.string()),
        ("sha256", pa.string()),
        *(METADATA.field(name) for name in _MEASURES if name in METADATA.names),
        ("face_landmarks", pa.list_(pa.float32())),
    ]
)

# The largest number of an int8 embedding; -128 would have no opposite.
_INT8 = 127


def schema(embedding_size: int, dtype: str = FLOAT32) -> pa.Schema:
    """Columns of an embeddings part.

    Args:
        embedding_size: D.
        dtype: of the embeddings, one of `DTYPES`.
    """
    scale = [("scale", pa.float32())] if dtype == INT8 else []
    return pa.schema(
        [
            *FACES,
            ("embedding", pa.list_(pa.type_for_alias(dtype), embedding_size)),
            *scale,
            ("model_id", pa.string()),
        ]
    )


def table(
    rows: Iterable[Scored], embedding_size: int, model_id: str, dtype: str = FLOAT32
) -> pa.Table:
    """The rows as a table of `schema`, sorted by image_id.

    Args:
        rows: each with an embedding float32 [D].
        embedding_size: D.
        model_id: the `model_id` of the model.
        dtype: of the embeddings, one of `DTYPES`. Those of int8 times their `scale` are the
            embedding, to half a step of the largest of its numbers divided by 127.
    """
    ordered = sorted(rows, key=lambda row: row.image_id)
    values = np.frombuffer(b"".join(row.embedding for row in ordered), "<f4")
    numbers, scale = encode(values.reshape(len(ordered), embedding_size), dtype)
    columns = {
        **_face_columns(ordered),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), embedding_size),
        **({} if scale is None else {"scale": scale}),
        "model_id": [model_id] * len(ordered),
    }
    return pa.table(columns, schema=schema(embedding_size, dtype))


def faces_table(rows: Iterable[Scored]) -> pa.Table:
    """The rows as a table of `FACES`, sorted by image_id.

    Args:
        rows: their embeddings are not looked at.
    """
    return pa.table(_face_columns(sorted(rows, key=lambda row: row.image_id)), schema=FACES)


def _face_columns(rows: Sequence[Scored]) -> dict[str, list[Any]]:
    return {
        "image_id": [row.image_id for row in rows],
        "source": [row.source for row in rows],
        "identity": [row.identity for row in rows],
        "sha256": [row.sha256 for row in rows],
        **{name: [getattr(row.measures, name) for row in rows] for name in _MEASURES},
    }


def encode(vectors: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Embeddings in the form in which they are stored.

    Args:
        vectors: float32 [N, D].
        dtype: one of `DTYPES`.

    Returns:
        [N, D] of the type, and for int8 the scale float32 [N] by which each row is multiplied.
    """
    if dtype == FLOAT32:
        return vectors, None
    if dtype == FLOAT16:
        return vectors.astype(np.float16), None
    largest = np.abs(vectors).max(axis=1, initial=0)
    # Numbers as small as this are 0 in any scale, and a scale of them would lose digits.
    scale = np.where(largest > 1e-30, largest / np.float32(_INT8), np.float32(1)).astype(np.float32)
    return np.rint(vectors / scale[:, np.newaxis]).astype(np.int8), scale


class WriteEmbeddings(beam.PTransform):
    """list[Scored] -> a receipt for each part.

    The rows of a list wait in a file for the others of their part, so a runner that keeps groups in
    memory holds names of files alone. All rows of a list go into the same part.

    Args:
        files: where the files of the embeddings are written.
        staging: path or URL of the folder of waiting rows, which the launcher has made.
        to_table: makes the table of rows, such as `table`; it must sort them by image_id.
        total: a PCollection of numbers whose sum is how many images were listed.
    """

    def __init__(
        self,
        files: OutputFiles,
        staging: str,
        to_table: Callable[[Iterable[Scored]], pa.Table],
        total: beam.PCollection,
    ) -> None:
        super().__init__()
        self._files = files
        self._staging = staging
        self._to_table = to_table
        self._total = total

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        total = SumOf(self._total)
        return (
            rows
            | "Stage"
            >> beam.FlatMap(_stage, self._staging, self._to_table, total).with_output_types(
                tuple[str, str]
            )
            | "GroupParts" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write_embeddings, self._files, self._staging)
        )


class CountIgnored(beam.PTransform):
    """list[Failure] -> numbers: how many of each list are of files never meant as images."""

    def expand(self, failures: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return failures | "Ignored" >> beam.Map(_count_ignored).with_output_types(int)


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
        total = failures | "Sizes" >> beam.Map(_count_errors).with_output_types(int)
        return (
            failures
            | "Errors" >> beam.Map(_errors).with_output_types(list[Failure])
            | "ByPart"
            >> beam.FlatMap(_by_part, "errors/part", SumOf(total)).with_output_types(
                tuple[str, list[Failure]]
            )
            | "GroupErrors" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write_errors, self._files)
        )


class WriteRemoved(beam.PTransform):
    """Lists of image_ids -> a receipt for each part of `removed/`; none if no photo has gone.

    Args:
        files: where the files of the embeddings are written.
    """

    def __init__(self, files: OutputFiles) -> None:
        super().__init__()
        self._files = files

    def expand(self, removed: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        total = removed | "Sizes" >> beam.Map(len).with_output_types(int)
        return (
            removed
            | "ByPart"
            >> beam.FlatMap(_removed_by_part, SumOf(total)).with_output_types(tuple[str, list[str]])
            | "GroupRemoved" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write_removed, self._files)
        )


def _removed_by_part(names: Sequence[str], total: int) -> Iterator[tuple[str, list[str]]]:
    return _divide(names, lambda name: name, "removed/part", total)


def _write_removed(group: tuple[str, Iterable[list[str]]], files: OutputFiles) -> dict[str, Any]:
    name, parts = group
    names = sorted(one for part in parts for one in part)
    return _write(pa.table({"image_id": names}, schema=REMOVED), files, name)


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
    """The rows by the name of their part, which a hash of the image_id decides."""
    return _divide(rows, lambda row: row.image_id, prefix, total)


def _divide(
    rows: Sequence[Any], name_of: Callable[[Any], str], prefix: str, total: int
) -> Iterator[tuple[str, list[Any]]]:
    """Rows by the name of their part.

    Args:
        rows: of one batch or chunk group.
        name_of: returns the image_id of a row.
        prefix: of the names of the parts.
        total: an upper bound of the rows in all parts.
    """
    count = group_count(total, _ROWS_PER_PART)
    parts = partition(rows, lambda row: keyed_hash(0, "embedding", name_of(row)) % count)
    for index, part in parts.items():
        yield f"{prefix}-{index:05d}-of-{count:05d}.parquet", part


def _stage(
    rows: Sequence[Scored],
    staging: str,
    to_table: Callable[[Iterable[Scored]], pa.Table],
    total: int,
) -> Iterator[tuple[str, str]]:
    """Writes rows into a file of their own; yields the names of their part and of the file."""
    if not rows:
        return
    # A bundle that is tried again has the same first image, and the same rows.
    key = keyed_hash(0, "embedding", rows[0].image_id)
    count = group_count(total, _ROWS_PER_PART)
    waiting = to_table(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, waiting.schema) as writer:
        writer.write_table(waiting)
    name = f"{key:016x}.arrow"
    with storage.new_file(storage.join(staging, name), sync=False) as stream:
        stream.write(sink.getvalue())
    yield f"part-{key % count:05d}-of-{count:05d}.parquet", name


def _write_embeddings(
    group: tuple[str, Iterable[str]], files: OutputFiles, staging: str
) -> dict[str, Any]:
    part, names = group
    waiting = [
        pa.ipc.open_stream(storage.read_bytes(storage.join(staging, name))).read_all()
        for name in sorted(set(names))
    ]
    rows = pa.concat_tables(waiting)
    # Arrow compares UTF-8 byte by byte, which is the order of Python's texts too.
    return _write(rows.take(pc.sort_indices(rows["image_id"])).combine_chunks(), files, part)


def _write_errors(group: tuple[str, Iterable[list[Failure]]], files: OutputFiles) -> dict[str, Any]:
    name, parts = group
    rows = sorted((row for part in parts for row in part), key=lambda row: row.image_id)
    columns = [
        {
            "image_id": row.image_id,
            "source": row.source,
            **reason_columns(row.reason),
            "sha256": row.sha256,
        }
        for row in rows
    ]
    return _write(pa.Table.from_pylist(columns, ERRORS), files, name)


def _write(rows: pa.Table, files: OutputFiles, name: str) -> dict[str, Any]:
    written = write_part(rows, files, name, _ROW_GROUP)
    return {"path": name, **written, "names": f"{name_sum(rows):064x}"}

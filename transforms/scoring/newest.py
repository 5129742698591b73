"""Of the embeddings of many runs, the newest rows of each photo."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.parquet_parts import part_batches
from facemill.transforms.scoring.buckets import Buckets
from facemill.transforms.scoring.embedding_parts import EMBEDDING, ID, SCALE, vectors_of
from facemill.transforms.scoring.embeddings import EmbeddingSet, entries_in

# What says that a photo has no embedding any more: it has gone, or cannot be scored as it is now.
GONE = ("removed", "errors")
_PHOTO, _AGE = "photo of the row", "number of the partition"
_MARKS = [(_PHOTO, pa.string()), (_AGE, pa.int32())]
GONE_SCHEMA = pa.schema(_MARKS)
_ROWS = 8_192


def joined_schema(sets: Sequence[EmbeddingSet]) -> pa.Schema:
    """The columns of all sets; embeddings stay as they are stored if all sets store them alike.

    Args:
        sets: of one model and size.
    """
    fields: dict[str, pa.Field] = {}
    stored = set()
    for given in sets:
        schema = _schema_of(given)
        for field in schema or ():
            fields.setdefault(field.name, field)
            if field.name == EMBEDDING:
                stored.add(field.type)
    if len(stored) > 1:
        fields[EMBEDDING] = pa.field(EMBEDDING, pa.list_(pa.float32(), sets[0].size))
        fields.pop(SCALE, None)
    return pa.schema(list(fields.values()))


def bucket_schema(schema: pa.Schema) -> pa.Schema:
    """The columns of rows on their way through buckets."""
    return pa.schema([*schema, *(pa.field(name, kind) for name, kind in _MARKS)])


def divide_rows(
    given: EmbeddingSet, age: int, all_faces: bool, schema: pa.Schema, buckets: Buckets
) -> Iterator[int]:
    """Writes the rows of a set to buckets, all of a photo to one; yields how many at a time.

    Args:
        given: the set.
        age: its number; later sets have higher ones.
        all_faces: whether the rows are faces of photos, `photo#0`, `photo#1`, ...
        schema: of the joined rows.
        buckets: of `bucket_schema`.
    """
    columns = _schema_of(given)
    for table in given.tables(given.all_slices(), columns.names if columns else (), _ROWS):
        ids = table[ID].to_pylist()
        photos = [one.rpartition("#")[0] or one if all_faces else one for one in ids]
        rows = [*_converted(table, schema), pa.array(photos, pa.string())]
        rows.append(pa.array([age] * len(ids), pa.int32()))
        buckets.add(pa.table(rows, schema=bucket_schema(schema)), _numbers(photos, buckets))
        yield len(ids)


def divide_gone(
    given: EmbeddingSet, manifest: Mapping[str, Any], age: int, buckets: Buckets
) -> None:
    """Writes the photos of a set that have no embedding any more to buckets of `GONE_SCHEMA`.

    Args:
        given: the set.
        manifest: of it.
        age: see `divide_rows`.
        buckets: as many as those of the rows.
    """
    for folder in GONE:
        for entry in entries_in(manifest, folder):
            path = artifact.resolve(given.path, entry["path"])
            artifact.check_sizes(given.path, [entry])
            for batch in part_batches(path, [ID], _ROWS):
                photos = batch.column(0).to_pylist()
                ages = pa.array([age] * len(photos), pa.int32())
                table = pa.table([batch.column(0).cast(pa.string()), ages], schema=GONE_SCHEMA)
                buckets.add(table, _numbers(photos, buckets))


def newest(rows: pa.Table, gone: pa.Table) -> tuple[pa.Table, int]:
    """The rows of one bucket that are valid, sorted by image_id, without the columns of buckets.

    Rows of a photo are valid if no later set has rows of it or says that it has none. So a photo
    that shows fewer faces than before has as many rows as the newest set says.

    Args:
        rows: of `bucket_schema`.
        gone: of GONE_SCHEMA.

    Returns:
        (the rows, how many others have gone and not been replaced).
    """
    last, over = _last(rows), _last(gone)
    pairs = _pairs(rows)
    current = np.array([last[photo] == age for photo, age in pairs], bool)
    kept = current & np.array([over.get(photo, -1) <= age for photo, age in pairs], bool)
    lost = int(np.count_nonzero(current) - np.count_nonzero(kept))
    valid = rows.filter(pa.array(kept)).drop_columns([_PHOTO, _AGE])
    return valid.take(pc.sort_indices(valid[ID])), lost


def _pairs(table: pa.Table) -> list[tuple[str, int]]:
    return list(zip(table[_PHOTO].to_pylist(), table[_AGE].to_pylist(), strict=True))


def _last(table: pa.Table) -> dict[str, int]:
    """The highest age of each photo."""
    found: dict[str, int] = {}
    for photo, age in _pairs(table):
        found[photo] = max(age, found.get(photo, age))
    return found


def _numbers(photos: Sequence[str], buckets: Buckets) -> np.ndarray:
    hashes = [keyed_hash(0, "embedding", one) % buckets.count for one in photos]
    return np.array(hashes, np.int64)


def _converted(table: pa.Table, schema: pa.Schema) -> list[pa.ChunkedArray | pa.Array]:
    """The columns of a schema; those that the table lacks are null."""
    columns: list[Any] = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(len(table), field.type))
        elif field.name == EMBEDDING and table[EMBEDDING].type != field.type:
            size = field.type.list_size
            values = pa.array(vectors_of(table, size).reshape(-1))
            columns.append(pa.FixedSizeListArray.from_arrays(values, size))
        else:
            columns.append(table[field.name].cast(field.type))
    return columns


def _schema_of(given: EmbeddingSet) -> pa.Schema | None:
    """The schema of a set's parts; None where it has none."""
    for entry in given.entries:
        with storage.open_file(artifact.resolve(given.path, entry["path"])) as stream:
            return pq.ParquetFile(stream).schema_arrow.remove_metadata()
    return None

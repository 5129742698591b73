"""One part of embeddings: opens it, checks its columns and its model, and reads its vectors.

A part stores embeddings as fixed-size lists of float32, float16 or int8; int8 rows have a float32
column `scale` beside them, and the embedding is their product.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact

ID, EMBEDDING, SCALE, MODEL_ID = "image_id", "embedding", "scale", "model_id"

# Rows of one read: 4 MB of 512 floats each.
BATCH = 2048
_STORED = (pa.float32(), pa.float16(), pa.int8())
_AGAIN = "score the images again"


def vector_columns(names: Sequence[str]) -> list[str]:
    """The columns that hold the embedding, of the names of a part."""
    return [name for name in (EMBEDDING, SCALE) if name in names]


def vectors_of(batch: pa.RecordBatch | pa.Table, size: int) -> np.ndarray:
    """The embeddings of rows, whatever they are stored as: float32 [N, size].

    Args:
        batch: with the columns of `vector_columns`.
        size: D.

    Raises:
        RunError: an embedding is null.
    """
    column = batch.column(EMBEDDING)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    values = column.flatten()
    if column.null_count or values.null_count:
        raise RunError(f"Embeddings must not be null, got a null one; {_AGAIN}.")
    stored = values.to_numpy(zero_copy_only=False).reshape(-1, size)
    if stored.dtype != np.int8:
        return stored.astype(np.float32, copy=False)
    scale = batch.column(SCALE)
    if scale.null_count:
        raise RunError(f"The scale of an embedding must not be null, got a null one; {_AGAIN}.")
    return stored * scale.to_numpy().astype(np.float32)[:, None]


@contextmanager
def open_part(
    path: str, here: str, name: str, manifest: Mapping[str, Any], columns: str = ""
) -> Iterator[pq.ParquetFile]:
    """Opens a part of embeddings for a block, after checking its columns and its model.

    Args:
        path: of the embeddings artifact, for messages.
        here: the artifact on this disk, see `artifact.local_copy`.
        name: of the part, relative to the artifact.
        manifest: of the artifact.
        columns: what the block reads beside embeddings, as it follows "a readable Parquet file".

    Raises:
        RunError: the part cannot be read, has not the columns of embeddings, or a row is of another
            model.
    """
    part = artifact.resolve(path, name)
    with opened(
        part, artifact.resolve(here, name), int(manifest["embedding_size"]), columns
    ) as parquet:
        model_id = manifest.get(MODEL_ID)
        if model_id is not None and MODEL_ID in parquet.schema_arrow.names:
            for batch in parquet.iter_batches(BATCH, columns=[MODEL_ID]):
                check_models(part, batch, model_id)
        yield parquet


@contextmanager
def opened(part: str, here: str, size: int, columns: str = "") -> Iterator[pq.ParquetFile]:
    """A part of embeddings, open; its columns are those of embeddings.

    Args:
        part: its path, for messages.
        here: its path on this disk.
        size: D.
        columns: see `open_part`.

    Raises:
        RunError: it cannot be read, or has other columns.
    """
    try:
        with storage.open_arrow(here) as source, pq.ParquetFile(source) as parquet:
            _check_schema(part, parquet.schema_arrow, size)
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise unreadable(part, error, columns) from error


def unreadable(part: str, error: BaseException, columns: str = "") -> RunError:
    """The error of a part that is no Parquet file that can be read.

    Args:
        part: its path.
        error: of pyarrow or the disk.
        columns: see `open_part`.
    """
    return RunError(
        f"{part} must be a readable Parquet file{columns}, got: {error}; score the images again."
    )


def _check_schema(part: str, schema: pa.Schema, size: int) -> None:
    """Refuses a part that has not the columns of embeddings.

    Args:
        part: its path, for the message.
        schema: of the part.
        size: length of an embedding.

    Raises:
        RunError: a column is absent or of another type.
    """
    kinds = dict(zip(schema.names, schema.types, strict=True))
    found = kinds.get(EMBEDDING)
    stored = [kind for kind in _STORED if found == pa.list_(kind, size)]
    right = ID in kinds and pa.types.is_string(kinds[ID]) and bool(stored)
    if right and stored == [pa.int8()]:
        right = kinds.get(SCALE) == pa.float32()
    if not right:
        wanted = pa.list_(pa.float32(), size)
        raise RunError(
            f"{part} must have the columns image_id (string) and embedding ({wanted}, or of "
            "float16, or of int8 with a column scale of float32), "
            f"got {', '.join(f'{field.name} ({field.type})' for field in schema)}; {_AGAIN}."
        )


def check_models(part: str, batch: pa.RecordBatch, model_id: str) -> None:
    """Refuses rows of which one says that another model embedded it.

    Args:
        part: path of the part, for the message.
        batch: of its rows.
        model_id: of the manifest.

    Raises:
        RunError: a row is of another model.
    """
    if MODEL_ID not in batch.schema.names:
        return
    others = pc.unique(batch.column(MODEL_ID)).to_pylist()
    wrong = next((one for one in others if one not in (None, model_id)), None)
    if wrong is not None:
        raise RunError(
            f"All embeddings must be of one model ({model_id[:12]}...), but {part} holds some "
            f"of {wrong[:12]}...; score the images again by one model."
        )

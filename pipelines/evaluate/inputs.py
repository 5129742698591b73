"""Reads the embeddings of the images that a protocol names, and no others."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact

PREFIX = "part-"
# Rows of one read: 4 MB of 512 floats each.
_BATCH = 2048
_EXTENSION = r"\.[^./]*$"
_LAST = r"^.*/([^/]+)$"
_LAST_TWO = r"^.*/([^/]+/[^/]+)$"
# How the name of an image matched, best first.
_EXACT, _OTHER_EXTENSION, _DEEPER, _HIGHER, _NOT = range(5)


@dataclass(frozen=True)
class Embeddings:
    """Embeddings by the protocol's image names.

    Attributes:
        rows: image name to row of `vectors`; an image that was not found is absent.
        image_ids: image name to the id it has in the artifact.
        vectors: float32 [N, D].
    """

    rows: Mapping[str, int]
    image_ids: Mapping[str, str]
    vectors: np.ndarray


def read_embeddings(path: str, manifest: Mapping[str, Any], wanted: Sequence[str]) -> Embeddings:
    """Finds the embeddings of images by name, such as `NAME/NAME_0001.jpg`.

    An image is the row whose `image_id` is that name; failing that, the row with the same name
    and another extension; failing that, the row whose `image_id` ends in that name, with any
    extension, below further folders; failing that, the row whose `image_id`, of a folder and a file
    at least, the name ends in. Memory holds the wanted rows and one small batch.

    Args:
        path: of the embeddings artifact.
        manifest: of it; its part files are checked against it first.
        wanted: names without repetition.

    Raises:
        RunError: a part file differs from the manifest or has not the columns it must have, it
            holds embeddings of another model, an image is found twice, or its embedding is not
            finite or all zeros.
    """
    here = artifact.local_copy(path, manifest, PREFIX)
    size = int(manifest["embedding_size"])
    vectors = np.zeros((len(wanted), size), np.float32)
    # Names without a folder are searched by the file alone.
    last = _LAST_TWO if all("/" in name for name in wanted) else _LAST
    rows_of_keys: dict[str, list[int]] = {}
    for row, key in enumerate(_keys(pa.array(wanted, pa.string()), last).to_pylist()):
        rows_of_keys.setdefault(key, []).append(row)
    found: dict[str, tuple[int, list[str]]] = {}
    keys = pa.array(list(rows_of_keys), pa.string())
    for entry in artifact.entries_under(manifest, PREFIX):
        with open_part(path, here, entry["path"], manifest) as parquet:
            for group in range(parquet.num_row_groups):
                ids = parquet.read_row_group(group, columns=["image_id"])["image_id"]
                if not pc.any(pc.is_in(_keys(ids, last), value_set=keys)).as_py():
                    continue
                for batch in parquet.iter_batches(
                    _BATCH, row_groups=[group], columns=["image_id", "embedding"]
                ):
                    names = _keys(batch.column("image_id"), last)
                    _collect(batch, names, rows_of_keys, wanted, found, vectors)
    twice = next(((name, ids) for name, (_, ids) in found.items() if len(ids) > 1), None)
    if twice:
        raise RunError(
            f"{twice[0]} must be one image of {path}, but it could be {twice[1][0]} or "
            f"{twice[1][1]}; score a folder that holds it once."
        )
    rows = {name: row for row, name in enumerate(wanted) if name in found}
    _check_vectors(vectors, rows, path)
    return Embeddings(rows, {name: found[name][1][0] for name in rows}, vectors)


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
    try:
        with (
            storage.open_arrow(artifact.resolve(here, name)) as source,
            pq.ParquetFile(source) as parquet,
        ):
            _check_schema(part, parquet.schema_arrow, int(manifest["embedding_size"]))
            _check_model(part, parquet, manifest.get("model_id"))
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"{part} must be a readable Parquet file{columns}, got: {error}; score the images "
            "again."
        ) from error


def _check_schema(part: str, schema: pa.Schema, size: int) -> None:
    """Refuses a part that has not the columns of embeddings.

    Args:
        part: its path, for the message.
        schema: of the part.
        size: length of an embedding.

    Raises:
        RunError: a column is absent or of another type.
    """
    wanted = pa.list_(pa.float32(), size)
    names = schema.names
    kinds = [schema.field(name).type for name in ("image_id", "embedding") if name in names]
    if len(kinds) != 2 or not pa.types.is_string(kinds[0]) or not kinds[1].equals(wanted):
        raise RunError(
            f"{part} must have the columns image_id (string) and embedding ({wanted}), "
            f"got {', '.join(f'{field.name} ({field.type})' for field in schema)}; "
            "score the images again."
        )


def _check_model(part: str, parquet: pq.ParquetFile, model_id: str | None) -> None:
    """Refuses a part of which a row says that another model embedded it.

    Args:
        part: its path, for the message.
        parquet: the open part.
        model_id: of the manifest; None for embeddings that do not say it.

    Raises:
        RunError: a row is of another model.
    """
    if model_id is None or "model_id" not in parquet.schema_arrow.names:
        return
    for batch in parquet.iter_batches(_BATCH, columns=["model_id"]):
        others = pc.unique(batch.column("model_id")).to_pylist()
        wrong = next((one for one in others if one not in (None, model_id)), None)
        if wrong is not None:
            raise RunError(
                f"All embeddings must be of one model ({model_id[:12]}...), but {part} holds some "
                f"of {wrong[:12]}...; score the images again by one model."
            )


def _keys(ids: pa.ChunkedArray | pa.Array, last: str) -> pa.ChunkedArray | pa.Array:
    """The last folder and the file name without its extension, of every image_id.

    Args:
        ids: the image_ids.
        last: the pattern that keeps them, or the file name alone.
    """
    stems = pc.replace_substring_regex(ids, pattern=_EXTENSION, replacement="")
    return pc.replace_substring_regex(stems, pattern=last, replacement=r"\1")


def _rank(image_id: str, name: str) -> int:
    """How an image_id matches a name, the best match first."""
    if image_id == name:
        return _EXACT
    here, there = (os.path.splitext(one)[0] for one in (image_id, name))
    if here == there:
        return _OTHER_EXTENSION
    if here.endswith(f"/{there}"):
        return _DEEPER
    return _HIGHER if "/" in here and there.endswith(f"/{here}") else _NOT


def _collect(
    batch: pa.RecordBatch,
    names: pa.Array,
    rows_of_keys: Mapping[str, Sequence[int]],
    wanted: Sequence[str],
    found: dict[str, tuple[int, list[str]]],
    vectors: np.ndarray,
) -> None:
    """Copies the batch's wanted rows into `found` and `vectors`; the better match wins."""
    keys = pa.array(list(rows_of_keys), pa.string())
    rows = pc.indices_nonzero(pc.is_in(names, value_set=keys))
    if not len(rows):
        return
    embeddings = batch.column("embedding").take(rows)
    values = embeddings.flatten()
    if embeddings.null_count or values.null_count:
        raise RunError("Embeddings must not be null, got a null one; score the images again.")
    matrix = values.to_numpy(zero_copy_only=False).reshape(len(rows), vectors.shape[1])
    for image_id, key, vector in zip(
        batch.column("image_id").take(rows).to_pylist(),
        names.take(rows).to_pylist(),
        matrix,
        strict=True,
    ):
        for row in rows_of_keys[key]:
            name = wanted[row]
            rank = _rank(image_id, name)
            best, ids = found.get(name, (_NOT, []))
            if rank == best != _NOT:
                ids.append(image_id)
            elif rank < best:
                found[name] = (rank, [image_id])
                vectors[row] = vector


def _check_vectors(vectors: np.ndarray, rows: Mapping[str, int], path: str) -> None:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    wrong = ~(np.isfinite(lengths) & (lengths > 0))
    name = next((name for name, row in rows.items() if wrong[row]), None)
    if name:
        raise RunError(
            f"The embedding of {name} in {path} must be finite and not zero; "
            "look at the model and score the images again."
        )

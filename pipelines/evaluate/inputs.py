"""Reads the embeddings of the images that a protocol names, and no others."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact

_PREFIX = "part-"
# Rows of one read: 4 MB of 512 floats each.
_BATCH = 2048
_EXTENSION = r"\.[^./]*$"
_LAST_TWO = r"^.*/([^/]+/[^/]+)$"
# How the name of an image matched, best first.
_EXACT, _OTHER_EXTENSION, _DEEPER = range(3)


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
    """Finds the embeddings of images named `NAME/NAME_0001.jpg`.

    An image is the row whose `image_id` is that name; failing that, the row with the same name
    and another extension; failing that, the row whose `image_id` ends in that name, with any
    extension, below further folders. Memory holds the wanted rows and one small batch.

    Args:
        path: of the embeddings artifact.
        manifest: of it; its part files are checked against it first.
        wanted: names without repetition, each with an extension.

    Raises:
        RunError: a part file differs from the manifest or has not the columns it must have, an
            image is found twice, or its embedding is not finite or all zeros.
    """
    here = artifact.local_copy(path, manifest, _PREFIX)
    size = int(manifest["embedding_size"])
    vectors = np.zeros((len(wanted), size), np.float32)
    rows_of_keys = {os.path.splitext(name)[0]: row for row, name in enumerate(wanted)}
    found: dict[str, tuple[int, list[str]]] = {}
    keys = pa.array(list(rows_of_keys), pa.string())
    for entry in manifest["files"]:
        if not entry["path"].startswith(_PREFIX):
            continue
        part = artifact.resolve(path, entry["path"])
        try:
            with (
                storage.open_arrow(artifact.resolve(here, entry["path"])) as source,
                pq.ParquetFile(source) as parquet,
            ):
                _check_schema(part, parquet.schema_arrow, size)
                for group in range(parquet.num_row_groups):
                    ids = parquet.read_row_group(group, columns=["image_id"])["image_id"]
                    if not pc.any(pc.is_in(_keys(ids), value_set=keys)).as_py():
                        continue
                    for batch in parquet.iter_batches(
                        _BATCH, row_groups=[group], columns=["image_id", "embedding"]
                    ):
                        _collect(batch, keys, rows_of_keys, wanted, found, vectors)
        except (pa.ArrowException, OSError) as error:
            raise RunError(
                f"{part} must be a readable Parquet file, got: {error}; score the images again."
            ) from error
    twice = next(((name, ids) for name, (_, ids) in found.items() if len(ids) > 1), None)
    if twice:
        raise RunError(
            f"{twice[0]} must be one image of {path}, but it could be {twice[1][0]} or "
            f"{twice[1][1]}; score a folder that holds it once."
        )
    rows = {name: rows_of_keys[os.path.splitext(name)[0]] for name in wanted if name in found}
    _check_vectors(vectors, rows, path)
    return Embeddings(rows, {name: found[name][1][0] for name in rows}, vectors)


def _check_schema(part: str, schema: pa.Schema, size: int) -> None:
    wanted = pa.list_(pa.float32(), size)
    names = schema.names
    kinds = [schema.field(name).type for name in ("image_id", "embedding") if name in names]
    if len(kinds) != 2 or not pa.types.is_string(kinds[0]) or not kinds[1].equals(wanted):
        raise RunError(
            f"{part} must have the columns image_id (string) and embedding ({wanted}), "
            f"got {', '.join(f'{field.name} ({field.type})' for field in schema)}; "
            "score the images again."
        )


def _keys(ids: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The last folder and the file name without its extension, of every image_id."""
    stems = pc.replace_substring_regex(ids, pattern=_EXTENSION, replacement="")
    return pc.replace_substring_regex(stems, pattern=_LAST_TWO, replacement=r"\1")


def _collect(
    batch: pa.RecordBatch,
    keys: pa.Array,
    rows_of_keys: Mapping[str, int],
    wanted: Sequence[str],
    found: dict[str, tuple[int, list[str]]],
    vectors: np.ndarray,
) -> None:
    """Copies the batch's wanted rows into `found` and `vectors`; the better match wins."""
    names = _keys(batch.column("image_id"))
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
        name = wanted[rows_of_keys[key]]
        if image_id == name:
            rank = _EXACT
        else:
            rank = _OTHER_EXTENSION if image_id.count("/") == name.count("/") else _DEEPER
        best, ids = found.get(name, (_DEEPER + 1, []))
        if rank == best:
            ids.append(image_id)
        elif rank < best:
            found[name] = (rank, [image_id])
            vectors[rows_of_keys[key]] = vector


def _check_vectors(vectors: np.ndarray, rows: Mapping[str, int], path: str) -> None:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    wrong = ~(np.isfinite(lengths) & (lengths > 0))
    name = next((name for name, row in rows.items() if wrong[row]), None)
    if name:
        raise RunError(
            f"The embedding of {name} in {path} must be finite and not zero; "
            "look at the model and score the images again."
        )

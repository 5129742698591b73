"""Reads the embeddings of the images that a protocol names, and no others."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms.core.errors import RunError
from facemill.transforms.scoring.embedding_parts import (
    BATCH,
    open_part,
    vector_columns,
    vectors_of,
)
from facemill.transforms.scoring.embeddings import local_parts, part_entries

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
    here = local_parts(path, manifest)
    size = int(manifest["embedding_size"])
    vectors = np.zeros((len(wanted), size), np.float32)
    # Names without a folder are searched by the file alone.
    last = _LAST_TWO if all("/" in name for name in wanted) else _LAST
    rows_of_keys: dict[str, list[int]] = {}
    for row, key in enumerate(_keys(pa.array(wanted, pa.string()), last).to_pylist()):
        rows_of_keys.setdefault(key, []).append(row)
    found: dict[str, tuple[int, list[str]]] = {}
    keys = pa.array(list(rows_of_keys), pa.string())
    for entry in part_entries(manifest):
        with open_part(path, here, entry["path"], manifest) as parquet:
            for group in range(parquet.num_row_groups):
                ids = parquet.read_row_group(group, columns=["image_id"])["image_id"]
                if not pc.any(pc.is_in(_keys(ids, last), value_set=keys)).as_py():
                    continue
                columns = ["image_id", *vector_columns(parquet.schema_arrow.names)]
                for batch in parquet.iter_batches(BATCH, row_groups=[group], columns=columns):
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
    matrix = vectors_of(batch.take(rows), vectors.shape[1])
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

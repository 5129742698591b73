"""Writes small embeddings artifacts, as scoring does, for tests of what reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facemill.transforms import storage
from facemill.transforms.dataset import writing
from facemill.transforms.dataset.parquet_parts import write_part

MODEL = "a" * 64
FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"


def draw(seed: int, people: int, images: int, size: int = 16, noise: float = 0.4) -> np.ndarray:
    """Vectors of length 1: `images` of each of some people, one person after the other.

    The people depend on the size alone, their images on the seed.
    """
    centers = np.random.default_rng(99).standard_normal((people, size))
    rng = np.random.default_rng(seed)
    rows = np.repeat(centers, images, axis=0)
    rows = rows + noise * rng.standard_normal(rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def named(people: int, images: int, prefix: str = "") -> tuple[list[str], list[str]]:
    """image_ids and identities of the rows of `draw`."""
    pairs = [(f"p{person:02d}", image) for person in range(people) for image in range(images)]
    return [f"{prefix}{who}/{image}.jpg" for who, image in pairs], [who for who, _ in pairs]


def columns_of(vectors: np.ndarray, kind: str = FLOAT32) -> dict[str, pa.Array]:
    """The columns that hold embeddings, stored in one of the three ways."""
    size = vectors.shape[1]
    if kind != INT8:
        values = pa.array(vectors.astype(kind).reshape(-1))
        return {"embedding": pa.FixedSizeListArray.from_arrays(values, size)}
    scale = np.abs(vectors).max(axis=1).astype(np.float32) / np.float32(127)
    whole = np.round(vectors / scale[:, None]).astype(np.int8)
    values = pa.array(whole.reshape(-1))
    return {
        "embedding": pa.FixedSizeListArray.from_arrays(values, size),
        "scale": pa.array(scale),
    }


def write(
    path: Path | str,
    ids: Sequence[str],
    vectors: np.ndarray,
    identities: Sequence[str | None] | None = None,
    *,
    parts: int = 2,
    row_group: int = 7,
    kind: str = FLOAT32,
    model_id: str = MODEL,
    more: dict[str, list[Any]] | None = None,
    inputs: dict[str, str] | None = None,
    removed: Sequence[str] = (),
) -> str:
    """Writes an artifact; rows go to parts in turn, sorted in each.

    Args:
        path: of the artifact, new.
        ids: image_ids.
        vectors: float32 [N, D].
        identities: of the rows; None for none.
        parts: how many.
        row_group: rows in a row group.
        kind: how embeddings are stored.
        model_id: of the model.
        more: further columns.
        inputs: what `run.json` says was read.
        removed: image_ids of `removed/`, for a partition.

    Returns:
        The path.
    """
    more = {"sharpness": [1.0] * len(ids), **(more or {})}
    options = {"format": "folders"}
    with writing.begin(str(path), "embeddings", options, inputs) as work:
        assert work is not None
        files = []
        for part in range(parts):
            rows = sorted(range(part, len(ids), parts), key=lambda row: ids[row])
            table = pa.table(
                {
                    "image_id": pa.array([ids[row] for row in rows], pa.string()),
                    "source": pa.array([ids[row].split("#")[0] for row in rows], pa.string()),
                    "identity": pa.array(
                        [None if identities is None else identities[row] for row in rows],
                        pa.string(),
                    ),
                    **{name: [values[row] for row in rows] for name, values in more.items()},
                    **columns_of(vectors[rows], kind),
                    "model_id": pa.array([model_id] * len(rows), pa.string()),
                }
            )
            files.append(_write(work, table, f"part-{part:05d}-of-{parts:05d}.parquet", row_group))
        if removed:
            table = pa.table({"image_id": pa.array(sorted(removed), pa.string())})
            files.append(_write(work, table, "removed/part-00000-of-00001.parquet", row_group))
        manifest = {
            "counts": {"listed": len(ids), "scored": len(ids)},
            "model_id": model_id,
            "embedding_size": vectors.shape[1],
            "source": {"fingerprint": "0" * 64},
            "files": files,
        }
        tops = sorted({entry["path"].split("/")[0] for entry in files})
        work.commit(manifest, work.written(tops), {})
    return str(path)


def _write(work: writing.Work, table: pa.Table, name: str, row_group: int) -> dict[str, Any]:
    written = write_part(table, work.files, name, row_group)
    return {"path": name, "bytes": written["bytes"], "sha256": written["sha256"]}


def read_rows(path: Path | str, folder: str) -> list[dict[str, Any]]:
    """All rows of the parts in a folder of an artifact, in the order of their names."""
    root = f"{path}/{folder}"
    rows: list[dict[str, Any]] = []
    for name in sorted(storage.names(root)) if storage.exists(root) else []:
        with storage.open_arrow(f"{root}/{name}") as source:
            import pyarrow.parquet as pq

            rows += pq.read_table(source).to_pylist()
    return rows

"""Embeddings and pairs for tests, and the command that evaluates them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facemill.pipelines import cli
from facemill.transforms.dataset import artifact, writing

# Two folds; every genuine pair is close, every impostor pair far.
PAIRS = (
    "2\t2\n"
    "Ann\t1\t2\nAnn\t1\t3\nAnn\t1\tBob\t1\nAnn\t2\tBob\t2\n"
    "Bob\t1\t2\nBob\t1\t3\nAnn\t3\tBob\t3\nAnn\t1\tBob\t2\n"
)


VECTORS = {
    f"{name}/{name}_{number:04d}.jpg": vector
    for name, base in (("Ann", [1.0, 0.0, 0.0]), ("Bob", [0.0, 1.0, 0.0]))
    for number, vector in ((n, np.add(base, [0.0, 0.0, 0.1 * n])) for n in (1, 2, 3))
}


def write_embeddings(
    path, vectors: dict, parts: int = 2, group: int = 2, model_ids=("m" * 64,)
) -> str:
    """An embeddings artifact in two parts, with more rows than the pairs need."""
    rows = sorted([*vectors.items(), ("Zoe/Zoe_0001.jpg", np.ones(3))])
    with writing.begin(str(path), "embeddings", {}) as work:
        names = []
        for part in range(parts):
            name = f"part-{part:05d}-of-{parts:05d}.parquet"
            chosen = rows[part::parts]
            flat = np.array([vector for _, vector in chosen], np.float32).ravel()
            table = pa.table(
                {
                    "image_id": pa.array([image for image, _ in chosen]),
                    "identity": pa.array(
                        [image.split("/")[-2] if "/" in image else None for image, _ in chosen]
                    ),
                    "model_id": pa.array([model_ids[part % len(model_ids)]] * len(chosen)),
                    "embedding": pa.FixedSizeListArray.from_arrays(pa.array(flat), 3),
                }
            )
            pq.write_table(table, work.path(name), row_group_size=group)
            names.append(name)
        files = [artifact.file_entry(work.scratch, name) for name in names]
        work.commit(
            {
                "counts": {"listed": len(rows)},
                "files": files,
                "model_id": "m" * 64,
                "embedding_size": 3,
            },
            [(work.path(name), name) for name in names],
            {},
        )
    return str(path)


def evaluate(embeddings: str, pairs: str, output, *more: str) -> int:
    return cli.main(
        ["evaluate", "--embeddings", embeddings, "--pairs", pairs, "--output", str(output), *more]
    )


def load(output) -> dict:
    return json.loads((output / "results.json").read_text())

"""Manifests for tests, and what the source lists of them."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq

from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.manifest import Manifest


def write_manifest(path, rows: list[dict]) -> str:
    """One table in the encoding that the path's suffix names."""
    names = list(rows[0]) if rows else ["path"]
    if path.suffix == ".csv":
        with open(path, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        with open(path, "w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def listed_in(path, root=None) -> list[Ref]:
    source = Manifest(str(path), None if root is None else str(root))
    return [ref for task in source.tasks() for ref in source.refs(task)]

"""`facemill compact`: the embeddings of many runs as one set.

rows of all partitions -> buckets of whole photos, on disk -> the newest rows, a bucket at a time
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from facemill.pipelines.common.derived import format_of, inputs_of
from facemill.pipelines.common.partitions import Partition, partitions_in
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.compact.options import CompactOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.dataset import artifact, writing
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scoring.buckets import Buckets, bucket_count
from facemill.transforms.scoring.embeddings import KIND, check_same_model
from facemill.transforms.scoring.newest import (
    GONE_SCHEMA,
    bucket_schema,
    divide_gone,
    divide_rows,
    joined_schema,
    newest,
)

_ROW_GROUP = 8_192


@dataclasses.dataclass
class _Counts:
    rows: int = 0
    images: int = 0
    gone: int = 0


def run(options: CompactOptions, beam_args: Sequence[str]) -> None:
    """Joins the partitions that the options name.

    Args:
        options: checked values.
        beam_args: none; this is no Beam job.

    Raises:
        UsageError: there is no partition, they are of several models, or the output holds something
            else.
        RunError: embeddings differ from their manifest.
    """
    del beam_args
    started = time.monotonic()
    root = storage.absolute(options.partitions, "partitions")
    storage.check_apart(root, storage.absolute(options.output, "output"), "partitions")
    partitions = find(root)
    for one in partitions[1:]:
        check_same_model(partitions[0].given, one.given, "partitions")
    paths = {one.name: one.given.path for one in partitions}
    passed, _ = inputs_of(paths)
    inputs = {"partitions": root} | {k: v for k, v in passed.items() if k not in paths}
    wanted = {
        "partitions": {one.name: artifact.fingerprint(one.manifest) for one in partitions},
        "format": format_of([one.manifest for one in partitions]),
        "faces": "all" if any(one.all_faces for one in partitions) else "largest",
    }
    with writing.begin(options.output, KIND, wanted, inputs, identified=list(inputs)) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to compact again.")
            return
        counts = _Counts()
        with Progress("rows read", lambda: counts.rows):
            files = _join(work, partitions, counts)
        replaced = counts.rows - counts.images - counts.gone
        found = {
            "partitions": len(partitions),
            "rows": counts.rows,
            "images": counts.images,
            "replaced": replaced,
            "gone": counts.gone,
        }
        manifest = {
            "counts": found,
            "model_id": partitions[0].given.model_id,
            "embedding_size": partitions[0].given.size,
            "files": files,
        }
        run_info = {"runner": "one process", "seconds": round(time.monotonic() - started, 3)}
        work.commit(manifest, work.written([entry["path"] for entry in files]), run_info)
        print(options.output)
        for name, count in found.items():
            print(f"  {name:<10} {count:>12,}")


def find(root: str) -> list[Partition]:
    """The partitions in a directory, the oldest first.

    Args:
        root: absolute path or URL.

    Raises:
        UsageError: there is none, a subdirectory is another artifact, or the directory is one.
    """
    if artifact.has_manifest(root, "partitions"):
        raise ParameterError(
            "partitions",
            root,
            must="be a directory of embeddings",
            but=f"{root} is an artifact itself",
            do="give the directory in which it lies with others",
        )
    found = partitions_in(root)
    if not found:
        raise ParameterError(
            "partitions",
            root,
            must="be a directory of embeddings",
            but=f"{root} holds none",
            do="give the directory that `facemill score` wrote partitions into",
        )
    return found


def _join(work: Work, partitions: Sequence[Partition], counts: _Counts) -> list[dict[str, Any]]:
    """Writes the parts of the newest rows; returns their entries."""
    for one in partitions:
        one.given.check_files()
    sets = [one.given for one in partitions]
    schema = joined_schema(sets)
    number = bucket_count(sum(sum(one.part_rows()) for one in sets))
    folders = [work.folder(name) for name in ("rows", "gone")]
    with (
        Buckets(folders[0], number, bucket_schema(schema)) as rows,
        Buckets(folders[1], number, GONE_SCHEMA) as gone,
    ):
        for age, one in enumerate(partitions):
            for count in divide_rows(one.given, age, one.all_faces, schema, rows):
                counts.rows += count
            divide_gone(one.given, one.manifest, age, gone)
    files = []
    for bucket, table in rows.tables():
        valid, lost = newest(table, gone.table(bucket))
        counts.gone += lost
        counts.images += len(valid)
        if len(valid):
            name = f"part-{bucket:05d}-of-{number:05d}.parquet"
            written = write_part(valid, work.files, name, _ROW_GROUP)
            files.append({"path": name, "bytes": written["bytes"], "sha256": written["sha256"]})
    return files

"""The kept images of a dataset as a source: of a set that is added to, or to be kept apart from."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms import artifact, tfrecord
from transforms.errors import RunError
from transforms.outcomes import KEPT
from transforms.records import from_example
from transforms.sources.base import Ref, Source, Unreadable
from transforms.splits import SPLITS

_COLUMNS = [
    "image_id",
    "identity",
    "outcome",
    "split",
    "shard",
    "position",
    "pixel_sha256",
    "attributes",
]


class DatasetRecords(Source):
    """The records of a dataset's shards, each once, as squares of the dataset's own size.

    Args:
        root: absolute path of the dataset.
        manifest: its manifest.
    """

    format: ClassVar[str] = "dataset"

    def __init__(self, root: str, manifest: dict[str, Any]) -> None:
        super().__init__(root)
        self._parts = sorted(
            entry["path"] for entry in manifest["files"] if entry["path"].startswith("index/")
        )

    def tasks(self) -> list[str]:
        """The parts of the index."""
        return self._parts

    def refs(self, task: str) -> Iterator[Ref]:
        """The kept images of one part, shard after shard."""
        path = artifact.resolve(self.root, task)
        rows = pq.read_table(path, columns=_COLUMNS)
        rows = rows.filter(pc.equal(rows["outcome"], KEPT))
        rows = rows.sort_by([("shard", "ascending"), ("position", "ascending")])
        shard, offsets = "", []
        for row in rows.to_pylist():
            if row["shard"] != shard:
                shard = row["shard"]
                with open(artifact.resolve(self.root, shard), "rb") as stream:
                    offsets = [offset for offset, _ in tfrecord.scan(stream)]
            yield Ref(
                image_id=row["image_id"],
                identity=row["identity"],
                path=shard,
                offset=offsets[row["position"]],
                attributes=tuple(row["attributes"] or ()),
                split=row["split"] if row["split"] in SPLITS else None,
                pixel_sha256=row["pixel_sha256"],
            )

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Each record's JPEG."""
        for ref in refs:
            try:
                with open(os.path.join(self.root, *ref.path.split("/")), "rb") as stream:
                    yield from_example(tfrecord.read_at(stream, ref.offset)).encoded
            except (OSError, RunError) as error:
                yield Unreadable(str(error))

"""The kept images of a dataset as a source: of a set that is added to, or to be kept apart from."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, ClassVar

import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms import artifact, tfrecord
from transforms.errors import RunError
from transforms.outcomes import KEPT
from transforms.records import from_example
from transforms.sources.base import Ref, Source, Unreadable
from transforms.sources.containers import OpenFile
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

    A dataset is an artifact, and whole: other than with foreign input, damage ends the run.

    Args:
        root: absolute path of the dataset.
        manifest: its manifest.

    Raises:
        RunError: its manifest leads elsewhere.
    """

    format: ClassVar[str] = "dataset"

    def __init__(self, root: str, manifest: dict[str, Any]) -> None:
        super().__init__(root)
        for split in manifest["splits"].values():
            for shard in split["shards"]:
                artifact.resolve(root, shard)
        self._parts = sorted(
            entry["path"] for entry in manifest["files"] if entry["path"].startswith("index/")
        )

    def tasks(self) -> list[str]:
        """The parts of the index."""
        return self._parts

    def refs(self, task: str) -> Iterator[Ref]:
        """The kept images of one part, shard after shard.

        Raises:
            RunError: a shard is absent, damaged or too short.
        """
        path = artifact.resolve(self.root, task)
        rows = pq.read_table(path, columns=_COLUMNS)
        rows = rows.filter(pc.equal(rows["outcome"], KEPT))
        rows = rows.sort_by([("shard", "ascending"), ("position", "ascending")])
        shard, offsets = "", []
        for row in rows.to_pylist():
            if row["shard"] != shard:
                shard = row["shard"]
                offsets = self._offsets(shard)
            if row["position"] >= len(offsets):
                raise RunError(
                    f"{shard} must hold the record {row['position']} that its index names, but "
                    f"has {len(offsets)}; write the dataset again."
                )
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
        """Each record's JPEG.

        Raises:
            RunError: a shard is absent or damaged.
        """
        with OpenFile(self.root) as file:
            for ref in refs:
                try:
                    stream = file.get(ref.path)
                except OSError as error:
                    raise _absent(ref.path, error) from None
                yield from_example(tfrecord.read_at(stream, ref.offset)).encoded

    def _offsets(self, shard: str) -> list[int]:
        with self._opened(shard) as stream:
            return [offset for offset, _ in tfrecord.scan(stream)]

    def _opened(self, shard: str) -> BinaryIO:
        try:
            return open(artifact.resolve(self.root, shard), "rb")
        except OSError as error:
            raise _absent(shard, error) from None


def _absent(shard: str, error: OSError) -> RunError:
    return RunError(
        f"{shard} must be readable, but is not ({error.strerror or error}); write the dataset "
        "again."
    )

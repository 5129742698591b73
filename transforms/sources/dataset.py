"""The images of a dataset as a source: of a set that is added to, or to be kept apart from."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.reasons import BY_NAME, HELD_OUT_IMAGE, Reason, from_columns
from facemill.transforms.dataset import artifact, tfrecord
from facemill.transforms.dataset.outcomes import DROPPED, KEPT
from facemill.transforms.dataset.records import from_example
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.containers import OpenFile

_COLUMNS = [
    "image_id",
    "identity",
    "outcome",
    "reason",
    "duplicate_of",
    "split",
    "shard",
    "offset",
    "pixel_sha256",
    "attributes",
]


class DatasetRecords(Source):
    """The records of a dataset's shards, each once, as squares of the dataset's own size.

    A dataset is an artifact, and whole: other than with foreign input, damage ends the run. Parts
    of the index are checked against the manifest when they are listed, and each record against its
    own checksum and the name that the index gives it when it is read.

    Args:
        root: absolute path or URL of the dataset.
        manifest: its manifest.
        aside: outcomes whose images are listed too: their pictures are not in the shards, but who
            they show and the hash of their pixels is known. Of dropped ones those that a list or
            another held-out set kept out of the dataset are none of its images, and not listed.
        quarantined: whether of these, records that were written apart are read like others.

    Raises:
        RunError: its manifest leads elsewhere.
    """

    format: ClassVar[str] = "dataset"

    def __init__(
        self,
        root: str,
        manifest: Mapping[str, Any],
        aside: Sequence[str] = (),
        quarantined: bool = False,
    ) -> None:
        super().__init__(root)
        self._aside = tuple(aside)
        self._quarantined = quarantined
        for split in manifest["splits"].values():
            for shard in split["shards"]:
                artifact.resolve(root, shard)
        # Path to SHA-256.
        self._parts: dict[str, str] = {
            entry["path"]: entry["sha256"] for entry in artifact.entries_under(manifest, "index/")
        }

    def tasks(self) -> list[str]:
        """The parts of the index."""
        return sorted(self._parts)

    def attributes(self) -> None:
        """Its index has them row by row."""
        return None

    def refs(self, task: str) -> Iterator[Ref]:
        """The kept images of one part, shard after shard, then those set aside that are wanted.

        Raises:
            RunError: the part is absent, differs from the manifest, or leads elsewhere.
        """
        everything = self._rows(task)
        read = pc.equal(everything["outcome"], KEPT)
        if self._quarantined:
            read = pc.or_(read, pc.is_valid(everything["shard"]))
        rows = everything.filter(read)
        rows = rows.sort_by([("shard", "ascending"), ("offset", "ascending")])
        for shard in rows["shard"].unique().to_pylist():
            artifact.resolve(self.root, shard)
        for row in rows.to_pylist():
            yield Ref(
                image_id=row["image_id"],
                identity=row["identity"],
                path=row["shard"],
                offset=row["offset"],
                attributes=tuple(row["attributes"] or ()),
                split=row["split"] if row["split"] in SPLITS else None,
                pixel_sha256=row["pixel_sha256"],
            )
        if not self._aside:
            return
        listed = pc.is_in(everything["outcome"], pa.array(self._aside))
        aside = everything.filter(pc.and_(listed, pc.invert(read)))
        for row in aside.sort_by("image_id").to_pylist():
            reason = from_columns(row["reason"], row["reason_code"])
            if row["outcome"] == DROPPED and _was_kept_out(reason):
                continue
            yield Ref(
                image_id=row["image_id"],
                identity=row["identity"],
                path=task,
                reason=reason,
                attributes=tuple(row["attributes"] or ()),
                pixel_sha256=row["pixel_sha256"],
                outcome=row["outcome"],
                duplicate_of=row["duplicate_of"],
            )

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Each record's JPEG.

        Raises:
            RunError: a shard is absent or damaged, or holds another record there.
        """
        with OpenFile(self.root) as file:
            for ref in refs:
                try:
                    payload = tfrecord.read_at(file.get(ref.path), ref.offset)
                except OSError as error:
                    raise _absent(ref.path, error) from None
                record = from_example(payload)
                if record.image_id != ref.image_id:
                    raise RunError(
                        f"{ref.path} must hold {ref.image_id} at byte {ref.offset}, as the index "
                        f"says, but holds {record.image_id}; write the dataset again."
                    )
                yield record.encoded

    def _rows(self, part: str) -> pa.Table:
        path = artifact.resolve(self.root, part)
        try:
            data = storage.read_bytes(path)
        except OSError as error:
            raise _absent(part, error) from None
        if hashlib.sha256(data).hexdigest() != self._parts[part]:
            raise RunError(
                f"{path} must have the SHA-256 of its manifest, but differs; it was changed or "
                "damaged, so write the dataset again."
            )
        table = pq.ParquetFile(pa.BufferReader(data))
        # A dataset of before there were codes can be read, but not compared with in full.
        wanted = [*_COLUMNS, "reason_code"] if self._aside else _COLUMNS
        if missing := sorted(set(wanted) - set(table.schema_arrow.names)):
            raise RunError(
                f"{path} must have the columns of this version of facemill, but lacks "
                f"{', '.join(missing)}; write the dataset again."
            )
        return table.read(wanted)


def verify_dataset(root: str, manifest: Mapping[str, Any]) -> None:
    """Checks the files of a dataset on a disk against its manifest.

    Of a dataset on an object store nothing is read twice: `DatasetRecords` checks what it reads.

    Args:
        root: its absolute path or URL.
        manifest: its manifest.

    Raises:
        RunError: a file is absent or differs.
    """
    if not storage.is_remote(root):
        artifact.verify_files(root, manifest)


def _was_kept_out(reason: Reason | None) -> bool:
    return reason is not None and reason.code in (*BY_NAME, *HELD_OUT_IMAGE)


def _absent(path: str, error: OSError) -> RunError:
    return RunError(
        f"{path} must be readable, but is not ({error.strerror or error}); write the dataset again."
    )

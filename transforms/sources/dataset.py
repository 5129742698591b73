"""The images of a dataset as a source: of a base, a held-out set or a dataset to score."""

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
    """The records of a dataset's shards, each once, as crops of the dataset's own size.

    A dataset is a complete artifact, so damage ends the run, unlike damage in other input. The
    listing checks each part of the index against the manifest; `read` checks each record against
    its checksum and against the image_id in the index.

    Args:
        root: absolute path or URL of the dataset.
        manifest: its manifest.
        exclusions: outcomes whose images are listed too. The shards do not hold these images, but
            the index has their identity and the hash of their pixels. Images that an identity list
            or another held-out set dropped are never listed, since they do not belong to the
            dataset.
        quarantined: whether quarantined images, which have shards of their own, are read like kept
            ones.

    Raises:
        RunError: the manifest names a path outside the dataset.
    """

    format: ClassVar[str] = "dataset"

    def __init__(
        self,
        root: str,
        manifest: Mapping[str, Any],
        exclusions: Sequence[str] = (),
        quarantined: bool = False,
    ) -> None:
        super().__init__(root)
        self._exclusions = tuple(exclusions)
        self._quarantined = quarantined
        for split in manifest["splits"].values():
            for shard in split["shards"]:
                artifact.resolve(root, shard)
        # Neighboring rows of the index are in different shards. On a store each would cost a
        # request, so a dataset that this machine's cache can hold is read from there.
        shards = {one for split in manifest["splits"].values() for one in split["shards"]}
        entries = {one["path"]: one for one in manifest["files"] if one["path"] in shards}
        cached = storage.is_remote(root) and storage.fits(entries.values())
        self._cached: dict[str, dict[str, Any]] = entries if cached else {}
        # SHA-256 by path.
        self._parts: dict[str, str] = {
            entry["path"]: entry["sha256"] for entry in artifact.entries_under(manifest, "index/")
        }

    def tasks(self) -> list[str]:
        """The parts of the index."""
        return sorted(self._parts)

    def attributes(self) -> None:
        """None: only the rows of the index name them."""
        return None

    def refs(self, task: str) -> Iterator[Ref]:
        """The kept images of one part, shard after shard, then the exclusions to be listed.

        Raises:
            RunError: the part is absent, differs from the manifest, or names a path outside the
                dataset.
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
        if not self._exclusions:
            return
        listed = pc.is_in(everything["outcome"], pa.array(self._exclusions))
        excluded = everything.filter(pc.and_(listed, pc.invert(read)))
        for row in excluded.sort_by("image_id").to_pylist():
            reason = from_columns(row["reason"], row["reason_code"])
            if row["outcome"] == DROPPED and _is_foreign(reason):
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
            RunError: a shard is absent or damaged, or holds another record at the offset.
        """
        with OpenFile(self.root, self._locate) as file:
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

    def _locate(self, shard: str) -> str:
        entry = self._cached.get(shard)
        return (
            storage.join(self.root, shard)
            if entry is None
            else storage.local_file(self.root, entry)
        )

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
        # A dataset from before there were reason codes can be read, but without its exclusions.
        wanted = [*_COLUMNS, "reason_code"] if self._exclusions else _COLUMNS
        if missing := sorted(set(wanted) - set(table.schema_arrow.names)):
            raise RunError(
                f"{path} must have the columns of this version of facemill, but lacks "
                f"{', '.join(missing)}; write the dataset again."
            )
        return table.read(wanted)


def verify_dataset(root: str, manifest: Mapping[str, Any]) -> None:
    """Checks the files of a dataset on a disk against its manifest.

    Files on an object store are not read here, to avoid reading them twice: `DatasetRecords` checks
    what it reads.

    Args:
        root: absolute path or URL of the dataset.
        manifest: its manifest.

    Raises:
        RunError: a file is absent or differs from the manifest.
    """
    if not storage.is_remote(root):
        artifact.verify_files(root, manifest)


def _is_foreign(reason: Reason | None) -> bool:
    """Whether a list or a held-out set dropped an image, so that it is none of the dataset."""
    return reason is not None and reason.code in (*BY_NAME, *HELD_OUT_IMAGE)


def _absent(path: str, error: OSError) -> RunError:
    return RunError(
        f"{path} must be readable, but is not ({error.strerror or error}); write the dataset again."
    )

"""Reads embeddings artifacts: their parts, some rows at a time, as float32."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, RunError
from facemill.transforms.dataset import artifact
from facemill.transforms.scoring.embedding_parts import (
    BATCH,
    EMBEDDING,
    ID,
    MODEL_ID,
    SCALE,
    check_models,
    opened,
    unreadable,
    vectors_of,
)

KIND = "embeddings"

# A partition that is replaced whole keeps its files in a folder of its own, such as `_a`.
_PLACE = r"(?:_[^/]+/)?"
_PART = re.compile(_PLACE + r"part-[^/]+")


@dataclass(frozen=True)
class Slice:
    """Rows of one part.

    Attributes:
        part: index in `EmbeddingSet.entries`.
        start: first row.
        stop: row after the last one.
    """

    part: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Block:
    """Rows that were read together.

    Attributes:
        table: the columns that were asked for.
        vectors: float32 [N, D].
    """

    table: pa.Table
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def ids(self) -> list[str]:
        """The image_id of each row."""
        return self.table[ID].to_pylist()


@dataclass(frozen=True)
class EmbeddingSet:
    """An embeddings artifact, as its manifest describes it; light enough for every step of a job.

    Attributes:
        path: absolute path or URL.
        size: D, length of an embedding.
        model_id: of the model that made all of them.
        entries: path, bytes, sha256 of each part, in the order of the manifest.
    """

    path: str
    size: int
    model_id: str
    entries: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, path: str, manifest: Mapping[str, Any]) -> "EmbeddingSet":
        """The set that a manifest describes.

        Args:
            path: absolute path or URL of the artifact.
            manifest: of it, see `artifact.read_manifest`.
        """
        size, entries = int(manifest["embedding_size"]), part_entries(manifest)
        return cls(path, size, manifest[MODEL_ID], tuple(entries))

    def check_files(self) -> None:
        """Checks every part against the manifest; those on a store are checked where they are read.

        Raises:
            RunError: a part is absent or differs.
        """
        if not storage.is_remote(self.path):
            artifact.verify_files(self.path, {"files": list(self.entries)})

    def part_rows(self) -> list[int]:
        """The number of rows of each part, from the ends of the files.

        Raises:
            RunError: a part cannot be read.
        """
        counts = []
        for entry in self.entries:
            path = artifact.resolve(self.path, entry["path"])
            try:
                with storage.open_file(path) as stream:
                    counts.append(pq.ParquetFile(stream).metadata.num_rows)
            except (pa.ArrowException, OSError) as error:
                raise unreadable(path, error) from error
        return counts

    def columns(self) -> list[str]:
        """The names of the columns of the parts; none where there is no part."""
        for entry in self.entries:
            with storage.open_file(artifact.resolve(self.path, entry["path"])) as stream:
                return list(pq.ParquetFile(stream).schema_arrow.names)
        return []

    def blocks(
        self, slices: Iterable[Slice], columns: Sequence[str] = (ID,), rows: int = BATCH
    ) -> Iterator[Block]:
        """Rows of some parts in order, a bounded number at a time.

        Args:
            slices: which rows.
            columns: what a block's table holds; a column that a part lacks is null there.
            rows: of a block at most.

        Raises:
            RunError: a part differs from the manifest, has not the columns of embeddings, or holds
                rows of another model, or an embedding is null.
        """
        for batch in self._batches(slices, (*columns, EMBEDDING, SCALE), rows):
            yield Block(_table(batch, columns), vectors_of(batch, self.size))

    def tables(
        self, slices: Iterable[Slice], columns: Sequence[str], rows: int = 1 << 16
    ) -> Iterator[pa.Table]:
        """The same without the embeddings, which are not read; see `blocks`."""
        for batch in self._batches(slices, columns, rows):
            yield _table(batch, columns)

    def _batches(
        self, slices: Iterable[Slice], columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        for one in slices:
            entry = self.entries[one.part]
            path = artifact.resolve(self.path, entry["path"])
            here = storage.local_file(self.path, entry)
            with opened(path, here, self.size) as parquet:
                names = parquet.schema_arrow.names
                wanted = [name for name in names if name in {*columns, MODEL_ID}]
                for batch in _batches(parquet, one, wanted, rows):
                    check_models(path, batch, self.model_id)
                    yield batch

    def all_slices(self) -> list[Slice]:
        """Every part as one slice."""
        return [Slice(part, 0, rows) for part, rows in enumerate(self.part_rows())]


def part_entries(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of the parts in the manifest of embeddings."""
    return [entry for entry in manifest["files"] if _PART.fullmatch(entry["path"])]


def entries_in(manifest: Mapping[str, Any], folder: str) -> list[Mapping[str, Any]]:
    """The entries of the parts in a folder beside those of embeddings, such as `errors`."""
    pattern = re.compile(_PLACE + re.escape(folder) + r"/part-[^/]+")
    return [entry for entry in manifest["files"] if pattern.fullmatch(entry["path"])]


def local_parts(path: str, manifest: Mapping[str, Any]) -> str:
    """The artifact on a disk of this machine, its parts checked; see `artifact.local_copy`."""
    return artifact.local_copy(path, {**manifest, "files": part_entries(manifest)})


def read_set(path: str, parameter: str) -> tuple[EmbeddingSet, dict[str, Any]]:
    """The set in an embeddings artifact, and its manifest.

    Args:
        path: as the caller gave it.
        parameter: that gives the path.

    Raises:
        UsageError: it is no complete embeddings artifact.
    """
    root = storage.absolute(path, parameter)
    manifest = artifact.read_manifest(root, KIND)
    return EmbeddingSet.of(root, manifest), manifest


def check_same_model(one: EmbeddingSet, other: EmbeddingSet, parameter: str) -> None:
    """Refuses embeddings of two models, which cannot be compared.

    Args:
        one: embeddings.
        other: embeddings that `parameter` gives.
        parameter: of `other`.

    Raises:
        UsageError: they are of two models, or of two sizes.
    """
    if one.model_id == other.model_id and one.size != other.size:
        raise ParameterError(
            parameter,
            other.path,
            must=f"have the {one.size} numbers in a row of {one.path}",
            got=f"{other.size} in {other.path}, by the same model",
            do="one is damaged, so score its images again",
        )
    if one.model_id != other.model_id:
        raise ParameterError(
            parameter,
            other.path,
            must=f"be of the model of {one.path} ({one.model_id[:12]}...)",
            got=f"{other.path} of {other.model_id[:12]}...",
            do="score both by one model",
        )


def unit(vectors: np.ndarray, path: str) -> np.ndarray:
    """The vectors with length 1, so that an inner product is a cosine: float32 [N, D].

    Each row depends on itself alone, to the bit.

    Args:
        vectors: float32 [N, D].
        path: of the embeddings, for messages.

    Raises:
        RunError: a vector is not finite or all zeros.
    """
    wide = vectors.astype(np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1))
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise RunError(
            f"The embeddings in {path} must be finite and not zero; look at the model and score "
            "the images again."
        )
    return (wide / lengths[:, None]).astype(np.float32)


def _batches(
    parquet: pq.ParquetFile, one: Slice, columns: Sequence[str], rows: int
) -> Iterator[pa.RecordBatch]:
    """The rows of a slice; only the row groups that hold some are decoded."""
    first = 0
    for group in range(parquet.num_row_groups):
        count = parquet.metadata.row_group(group).num_rows
        if first + count > one.start and first < one.stop:
            at = first
            for batch in parquet.iter_batches(rows, row_groups=[group], columns=list(columns)):
                start, stop = max(one.start - at, 0), min(one.stop - at, len(batch))
                at += len(batch)
                if start < stop:
                    yield batch.slice(start, stop - start)
        first += count


def _table(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.Table:
    """The columns of a batch; those that it lacks are null."""
    found = {
        name: batch.column(name)
        if name in batch.schema.names
        else pa.nulls(len(batch), pa.string())
        for name in columns
    }
    return pa.table(found)

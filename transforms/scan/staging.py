"""The staging folder: files under the output that the scan writes and later stages read.

Each chunk of the listing has three files, named by its number, so that a runner that scans a chunk
twice writes the same files again:

- `*.metadata`: image metadata, a table in Arrow's file format with one row per image, read column
  by column;
- `*.pixels`: a header with an entry for each row, then for each usable image a thumbnail and its
  encoded record, read by offset;
- an empty file in the folder `done` whose name holds the number of images, for the progress line.
"""

import functools
import os
import struct
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms import storage
from facemill.transforms.core.row_ids import (
    CHUNK,
    NEW,
    chunk_of,
    origin_of_chunk,
    row_ids_of,
    row_of,
)
from facemill.transforms.dataset.done_marks import images_done, mark_done
from facemill.transforms.images.perceptual_hash import SMALL_SIDE

STAGING = "staging"

_DONE = "done"
_METADATA_ENDING = "metadata"
_THUMBNAIL_BYTES = SMALL_SIDE * SMALL_SIDE
# The entry of a row: the offset of its thumbnail, and the length of the record that follows it.
_ENTRY = np.dtype([("offset", "<u8"), ("length", "<u4")])
# Reads one entry at a time, at which a structured array is slow.
_ONE_ENTRY = struct.Struct("<QI")
_HEADER_BYTES = CHUNK * _ENTRY.itemsize


def write_chunk(
    folder: str,
    chunk: int,
    metadata: pa.Table,
    pixels: Sequence[tuple[np.ndarray, bytes] | None],
) -> None:
    """Writes the files of a chunk, each completely or not at all.

    Args:
        folder: the staging folder, which the launcher has made.
        chunk: the number of the chunk.
        metadata: image metadata, N rows, N at most CHUNK.
        pixels: for each image its thumbnail, uint8 [64, 64], and its encoded record; None for an
            image that is not usable.

    Raises:
        RunError: this machine does not see the staging folder.
    """
    entries = np.zeros(CHUNK, _ENTRY)
    offset = _HEADER_BYTES
    parts: list[bytes] = []
    for row, one in enumerate(pixels):
        if one is None:
            continue
        thumbnail, record = one
        entries[row] = (offset, len(record))
        parts += (thumbnail.tobytes(), record)
        offset += _THUMBNAIL_BYTES + len(record)
    # No fsync: a power cut would end the run as well.
    with storage.new_file(_pixels_path(folder, chunk), sync=False) as stream:
        stream.write(b"".join((entries.tobytes(), *parts)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, metadata.schema) as writer:
        writer.write_table(metadata.combine_chunks())
    with storage.new_file(_metadata_path(folder, chunk), sync=False) as stream:
        stream.write(sink.getvalue())
    # The progress line counts the images of the input alone.
    if origin_of_chunk(chunk) == NEW:
        mark_done(os.path.join(folder, _DONE), f"{chunk:013x}", len(metadata))


def read_metadata(folder: str, chunk: int, columns: Sequence[str] | None = None) -> pa.Table:
    """The image metadata of a chunk, or some columns of it.

    Raises:
        RunError: this machine does not see the file.
    """
    path = _metadata_path(folder, chunk)
    with storage.map_shared(path) as source:
        table = pa.ipc.open_file(source).read_all()
    return table if columns is None else table.select(columns)


def row_ids_of_names(folder: str, origin: int, names: Collection[str]) -> dict[str, int]:
    """Row ids of usable images of a base or held-out set, by image_id.

    Args:
        folder: the staging folder.
        origin: BASE or HELD_OUT, see `transforms.core.row_ids`.
        names: the image_ids to find; those that the set does not have are left out.
    """
    if not names:
        return {}
    wanted = pa.array(sorted(names), pa.string())
    found: dict[str, int] = {}
    for name in storage.names(folder):
        stem, _, ending = name.rpartition(".")
        if ending != _METADATA_ENDING or origin_of_chunk(chunk := int(stem, 16)) != origin:
            continue
        metadata = read_metadata(folder, chunk, ["image_id", "reason"])
        usable = pc.and_(pc.is_in(metadata["image_id"], wanted), pc.equal(metadata["reason"], ""))
        for row in pc.indices_nonzero(usable).to_pylist():
            found[metadata["image_id"][row].as_py()] = int(row_ids_of(chunk, row + 1)[row])
    return found


def images_staged(folder: str) -> int:
    """How many images of the input were scanned so far, counted by their marks on every runner."""
    return images_done(os.path.join(folder, _DONE))


class StagingReader:
    """Reads thumbnails and records by row id; keeps a bounded number of files open.

    Args:
        folder: the staging folder.
        limit: how many files may be open at a time; systems allow a process 1,024 or more.
    """

    def __init__(self, folder: str, limit: int = 512) -> None:
        self._folder = folder
        self._limit = limit
        self._open: OrderedDict[int, tuple[BinaryIO, bytes]] = OrderedDict()

    def __enter__(self) -> "StagingReader":
        return self

    def __exit__(self, *error: object) -> None:
        for stream, _ in self._open.values():
            stream.close()
        self._open.clear()

    def thumbnails(self, row_ids: Iterable[int]) -> np.ndarray:
        """The thumbnails of images, uint8 [N, 64, 64]."""
        data = b"".join(self._thumbnail(int(row_id)) for row_id in row_ids)
        return np.frombuffer(data, np.uint8).reshape(-1, SMALL_SIDE, SMALL_SIDE)

    def record(self, row_id: int) -> bytes:
        """The encoded record of an image."""
        stream, offset, length = self._find(row_id)
        return storage.read_range(stream, offset + _THUMBNAIL_BYTES, length)

    def _thumbnail(self, row_id: int) -> bytes:
        stream, offset, _ = self._find(row_id)
        return storage.read_range(stream, offset, _THUMBNAIL_BYTES)

    def _find(self, row_id: int) -> tuple[BinaryIO, int, int]:
        """The file of a row id, the offset of its thumbnail, and the length of its record."""
        stream, header = self._chunk(chunk_of(row_id))
        return stream, *_ONE_ENTRY.unpack_from(header, row_of(row_id) * _ONE_ENTRY.size)

    def _chunk(self, chunk: int) -> tuple[BinaryIO, bytes]:
        found = self._open.get(chunk)
        if found is not None:
            self._open.move_to_end(chunk)
            return found
        if len(self._open) >= self._limit:
            self._open.popitem(last=False)[1][0].close()
        stream = storage.open_shared(_pixels_path(self._folder, chunk))  # closed by __exit__
        header = storage.read_range(stream, 0, _HEADER_BYTES)
        self._open[chunk] = stream, header
        return stream, header


class MetadataReader:
    """Reads the metadata of single images by row id; caches the tables of the last 64 chunks.

    Args:
        folder: the staging folder.
        columns: the columns to read.
    """

    def __init__(self, folder: str, columns: Sequence[str]) -> None:
        self._table = functools.lru_cache(64)(lambda chunk: read_metadata(folder, chunk, columns))

    def row(self, row_id: int) -> dict:
        """The metadata of one image, by column."""
        return self._table(chunk_of(row_id)).slice(row_of(row_id), 1).to_pylist()[0]


def _metadata_path(folder: str, chunk: int) -> str:
    return os.path.join(folder, f"{chunk:013x}.{_METADATA_ENDING}")


def _pixels_path(folder: str, chunk: int) -> str:
    return os.path.join(folder, f"{chunk:013x}.pixels")

"""The staging folder: files under the output that the scan writes and later stages read.

Each chunk of the listing has three files, named by its number, so that a runner that scans a chunk
twice writes the same files again:

- `*.metadata`: image metadata, a table in Arrow's file format with one row per image, read column
  by column;
- `*.thumbnails`: a thumbnail for each row, zeros for an image that is not usable, or a preview of
  it;
- `*.records`: a header with an entry for each row, then the encoded record of each usable image.

The folder `done` counts the images that were scanned, for the progress line.

On a disk single thumbnails and records are read by their offsets. On an object store a request
costs as much time as a megabyte: thumbnails are read in runs, many at a time, and a chunk's records
all at once, see `transforms.shards.regroup`.
"""

import os
import struct
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
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
# The entry of a row: where its record starts, and its length; 0 for an image that is not usable.
_ENTRY = np.dtype([("offset", "<u8"), ("length", "<u4")])
# Reads one entry at a time, at which a structured array is slow.
_ONE_ENTRY = struct.Struct("<QI")
_HEADER_BYTES = CHUNK * _ENTRY.itemsize

# On a store: requests in flight for small parts, chunks that are read ahead, and how many
# thumbnails between two wanted ones are read with them.
_REQUESTS, _CHUNKS_AHEAD, _GAP = 64, 8, 32
# Chunks whose metadata `MetadataReader` holds, some 50 KB each.
_CACHED_OF_A_STORE, _CACHED_OF_A_DISK = 2048, 64


def write_chunk(
    folder: str,
    chunk: int,
    metadata: pa.Table,
    pixels: Sequence[tuple[np.ndarray, bytes | None] | None],
) -> None:
    """Writes the files of a chunk, each completely or not at all.

    Args:
        folder: the staging folder, which the launcher has made.
        chunk: the number of the chunk.
        metadata: image metadata, N rows, N at most CHUNK.
        pixels: for each image its thumbnail, uint8 [64, 64], and its encoded record; None for an
            image that is not usable, or no record but a preview of the photo in place of the
            thumbnail.

    Raises:
        RunError: this machine does not see the staging folder.
    """
    entries = np.zeros(CHUNK, _ENTRY)
    thumbnails = np.zeros((len(pixels), SMALL_SIDE, SMALL_SIDE), np.uint8)
    offset = _HEADER_BYTES
    records: list[bytes] = []
    for row, one in enumerate(pixels):
        if one is None:
            continue
        thumbnails[row], record = one
        if record is None:
            continue
        entries[row] = (offset, len(record))
        records.append(record)
        offset += len(record)
    # No fsync: a power cut would end the run as well.
    with storage.new_file(_thumbnails_path(folder, chunk), sync=False) as stream:
        stream.write(thumbnails.data)
    with storage.new_file(_records_path(folder, chunk), sync=False) as stream:
        stream.write(b"".join((entries.tobytes(), *records)))
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


def read_all_metadata(
    folder: str, chunks: Sequence[int], columns: Sequence[str] | None = None
) -> pa.Table:
    """The image metadata of some chunks, one after the other; of a store many at a time.

    Raises:
        RunError: this machine does not see a file.
    """
    return pa.concat_tables(_metadata_of(folder, chunks, columns))


def _metadata_of(
    folder: str, chunks: Sequence[int], columns: Sequence[str] | None
) -> Iterator[pa.Table]:
    if not storage.is_remote(folder):
        yield from (read_metadata(folder, chunk, columns) for chunk in chunks)
        return
    for data in read_parts([(_metadata_path(folder, chunk), 0, None) for chunk in chunks]):
        table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
        yield table if columns is None else table.select(columns)


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
    for chunk in _chunks_of(folder, origin):
        metadata = read_metadata(folder, chunk, ["image_id", "reason"])
        usable = pc.and_(pc.is_in(metadata["image_id"], wanted), pc.equal(metadata["reason"], ""))
        for row in pc.indices_nonzero(usable).to_pylist():
            found[metadata["image_id"][row].as_py()] = int(row_ids_of(chunk, row + 1)[row])
    return found


def identities_of(folder: str, origin: int) -> set[str]:
    """The names of all identities of a base or held-out set, by images usable or not.

    Args:
        folder: the staging folder.
        origin: BASE or HELD_OUT, see `transforms.core.row_ids`.
    """
    found: set[str] = set()
    for metadata in metadata_of_origin(folder, origin, ["identity"]):
        found.update(filter(None, metadata["identity"].unique().to_pylist()))
    return found


def metadata_of_origin(folder: str, origin: int, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of the metadata of all images of one origin, a table for each chunk.

    Args:
        folder: the staging folder.
        origin: see `transforms.core.row_ids`.
        columns: their names.

    Raises:
        RunError: this machine does not see a file.
    """
    return _metadata_of(folder, list(_chunks_of(folder, origin)), columns)


def _chunks_of(folder: str, origin: int) -> Iterator[int]:
    """The numbers of the chunks of one origin."""
    for name in storage.names(folder):
        stem, _, ending = name.rpartition(".")
        if ending == _METADATA_ENDING and origin_of_chunk(chunk := int(stem, 16)) == origin:
            yield chunk


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
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()
        self._headers: OrderedDict[str, bytes] = OrderedDict()
        self._records: dict[int, bytes] = {}

    def __enter__(self) -> "StagingReader":
        return self

    def __exit__(self, *error: object) -> None:
        for stream in self._open.values():
            stream.close()
        self._open.clear()

    def thumbnails(self, row_ids: Iterable[int]) -> np.ndarray:
        """The thumbnails of images, uint8 [N, 64, 64]."""
        if storage.is_remote(self._folder):
            return _remote_thumbnails(self._folder, np.fromiter(row_ids, np.uint64))
        data = b"".join(self._thumbnail(int(row_id)) for row_id in row_ids)
        return np.frombuffer(data, np.uint8).reshape(-1, SMALL_SIDE, SMALL_SIDE)

    def record(self, row_id: int) -> bytes:
        """The encoded record of an image."""
        found = self._records.get(row_id)
        return self._read(*self._find(row_id)) if found is None else found

    def prefetch(self, row_ids: Iterable[int]) -> None:
        """Reads what `record` will need of a store, many records at a time; nothing of a disk."""
        if not storage.is_remote(self._folder):
            return
        wanted = list(dict.fromkeys(row_ids))
        paths = list(dict.fromkeys(_records_path(self._folder, chunk_of(one)) for one in wanted))
        headers = read_parts([(path, 0, _HEADER_BYTES) for path in paths])
        self._headers.update(zip(paths, headers, strict=True))
        contents = read_parts([self._find(row_id) for row_id in wanted])
        self._records.update(zip(wanted, contents, strict=True))

    def _find(self, row_id: int) -> tuple[str, int, int]:
        """The file of a record, where it starts, and its length."""
        path = _records_path(self._folder, chunk_of(row_id))
        header = self._headers.get(path)
        if header is None:
            if len(self._headers) >= self._limit:
                self._headers.popitem(last=False)
            header = self._headers[path] = self._read(path, 0, _HEADER_BYTES)
        return path, *_ONE_ENTRY.unpack_from(header, row_of(row_id) * _ONE_ENTRY.size)

    def _thumbnail(self, row_id: int) -> bytes:
        path = _thumbnails_path(self._folder, chunk_of(row_id))
        return self._read(path, row_of(row_id) * _THUMBNAIL_BYTES, _THUMBNAIL_BYTES)

    def _read(self, path: str, offset: int, length: int) -> bytes:
        if storage.is_remote(self._folder):
            return next(read_parts([(path, offset, length)]))
        stream = self._open.get(path)
        if stream is None:
            if len(self._open) >= self._limit:
                self._open.popitem(last=False)[1].close()
            stream = self._open[path] = storage.open_shared(path)  # closed by __exit__
        else:
            self._open.move_to_end(path)
        return storage.read_range(stream, offset, length)


def all_records(folder: str, chunks: Iterable[int]) -> Iterator[tuple[int, bytes, np.ndarray]]:
    """All records of some chunks, by one request for each chunk.

    Args:
        folder: the staging folder.
        chunks: their numbers.

    Returns:
        For each chunk, in order: (its number; the bytes of its file; where each row's record is in
        these, a structured array with the fields offset and length [CHUNK]).

    Raises:
        RunError: this machine does not see a file.
    """
    numbers = list(chunks)
    requests = [(_records_path(folder, chunk), 0, None) for chunk in numbers]
    for chunk, data in zip(numbers, read_parts(requests, _CHUNKS_AHEAD), strict=True):
        yield chunk, data, np.frombuffer(data, _ENTRY, CHUNK)


def read_parts(
    requests: Sequence[tuple[str, int, int | None]], in_flight: int = _REQUESTS
) -> Iterator[bytes]:
    """Parts of staging files, in order, with many requests in flight.

    Args:
        requests: (path, offset, length or None for the rest) of each.
        in_flight: how many results may wait; bounds the memory.

    Raises:
        RunError: this machine does not see a file.
    """
    contents = storage.read_many(requests, in_flight)
    for (path, _, _), content in zip(requests, contents, strict=True):
        if isinstance(content, FileNotFoundError):
            raise storage.not_seen(path)
        if isinstance(content, OSError):
            raise content
        yield content


def _remote_thumbnails(folder: str, row_ids: np.ndarray) -> np.ndarray:
    """See `StagingReader.thumbnails`: rows of a chunk that are close come by one request."""
    unique, where = np.unique(row_ids, return_inverse=True)
    found = np.empty((len(unique), _THUMBNAIL_BYTES), np.uint8)
    runs: list[list[int]] = []
    for row_id in unique.tolist():
        if runs and _are_close(runs[-1][-1], row_id):
            runs[-1].append(row_id)
        else:
            runs.append([row_id])
    requests = []
    for run in runs:
        first, last = row_of(run[0]), row_of(run[-1])
        path = _thumbnails_path(folder, chunk_of(run[0]))
        requests.append((path, first * _THUMBNAIL_BYTES, (last + 1 - first) * _THUMBNAIL_BYTES))
    start = 0
    for run, data in zip(runs, read_parts(requests), strict=True):
        block = np.frombuffer(data, np.uint8).reshape(-1, _THUMBNAIL_BYTES)
        rows = [row_of(row_id) - row_of(run[0]) for row_id in run]
        found[start : start + len(run)] = block[rows]
        start += len(run)
    return found[where].reshape(-1, SMALL_SIDE, SMALL_SIDE)


def _are_close(before: int, after: int) -> bool:
    """Whether two rows are of one chunk, and reading what is between them costs little."""
    return chunk_of(before) == chunk_of(after) and row_of(after) - row_of(before) <= _GAP


class MetadataReader:
    """Reads the metadata of single images by row id; caches the tables of the last chunks.

    Args:
        folder: the staging folder.
        columns: the columns to read.
    """

    def __init__(self, folder: str, columns: Sequence[str]) -> None:
        self._folder = folder
        self._columns = list(columns)
        self._limit = _CACHED_OF_A_STORE if storage.is_remote(folder) else _CACHED_OF_A_DISK
        self._tables: OrderedDict[int, pa.Table] = OrderedDict()

    def row(self, row_id: int) -> dict:
        """The metadata of one image, by column."""
        chunk = chunk_of(row_id)
        if chunk in self._tables:
            self._tables.move_to_end(chunk)
        else:
            self._keep(chunk, read_metadata(self._folder, chunk, self._columns))
        return self._tables[chunk].slice(row_of(row_id), 1).to_pylist()[0]

    def prefetch(self, row_ids: Iterable[int]) -> None:
        """Reads what `row` will need of a store, many chunks at a time; nothing of a disk."""
        if not storage.is_remote(self._folder):
            return
        chunks = [one for one in dict.fromkeys(map(chunk_of, row_ids)) if one not in self._tables]
        chunks = chunks[: self._limit]
        tables = _metadata_of(self._folder, chunks, self._columns)
        for chunk, table in zip(chunks, tables, strict=True):
            self._keep(chunk, table)

    def _keep(self, chunk: int, table: pa.Table) -> None:
        while len(self._tables) >= self._limit:
            self._tables.popitem(last=False)
        self._tables[chunk] = table


def _metadata_path(folder: str, chunk: int) -> str:
    return os.path.join(folder, f"{chunk:013x}.{_METADATA_ENDING}")


def _thumbnails_path(folder: str, chunk: int) -> str:
    return os.path.join(folder, f"{chunk:013x}.thumbnails")


def _records_path(folder: str, chunk: int) -> str:
    return os.path.join(folder, f"{chunk:013x}.records")

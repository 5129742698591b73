"""Files wherever they are: each function serves paths on disks and URLs of object stores.

Stores have no folders: what makes a folder does nothing for a URL, and an object's folder is there
as long as the object is.
"""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO

from facemill.transforms.storage import folders, local, objects
from facemill.transforms.storage.entry import Entry, FileStat
from facemill.transforms.storage.folders import not_seen
from facemill.transforms.storage.paths import is_remote

_BLOCK = 1 << 20


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading: seekable, binary; the caller closes it.

    Raises:
        OSError: it cannot be opened.
        RunError: the object store does not answer.
    """
    return objects.open_file(path) if is_remote(path) else local.open_file(path)


def read_bytes(path: str) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: it cannot be opened or read.
        RunError: the object store does not answer.
    """
    return objects.read_bytes(path) if is_remote(path) else local.read_bytes(path)


def read_many(
    requests: Iterable[tuple[str, int, int | None]], in_flight: int = 32
) -> Iterator[bytes | OSError]:
    """The bytes of many files or parts of files, in order; from a store many at a time.

    Args:
        requests: (path, offset, length or None for the rest) of each.
        in_flight: how many results of a store may wait; bounds the memory.

    Raises:
        RunError: the object store does not answer.
    """
    found = iter(requests)
    for first in found:
        if is_remote(first[0]):
            yield from objects.read_many(_chained(first, found), in_flight)
            return
        yield _read_part(*first)


def _chained(
    first: tuple[str, int, int | None], rest: Iterator[tuple[str, int, int | None]]
) -> Iterator[tuple[str, int, int | None]]:
    yield first
    yield from rest


def _read_part(path: str, offset: int, length: int | None) -> bytes | OSError:
    try:
        with local.open_file(path) as stream:
            stream.seek(offset)
            return stream.read(-1 if length is None else length)
    except OSError as error:
        return error


def new_file(path: str, sync: bool = True, buffering: int = -1) -> AbstractContextManager[BinaryIO]:
    """Opens a file for writing in a block; it gets its name, complete, when the block ends.

    Args:
        path: of the file; its folder must exist.
        sync: whether to wait for the disk, as for files that must survive a power cut. Files that
            only this run reads need not.
        buffering: as for `open`.

    Raises:
        RunError: its folder is absent, or the object store does not answer.
        OSError: it cannot be written.
    """
    return objects.new_file(path) if is_remote(path) else local.new_file(path, sync, buffering)


def write_atomically(path: str, data: bytes) -> None:
    """Writes `data` so that the file is either complete or absent, also after a power cut."""
    if is_remote(path):
        objects.write(path, data)
    else:
        local.write_atomically(path, data)


def write_new(path: str, data: bytes) -> None:
    """Writes a file directly under its final name; its folder must not be read yet.

    Raises:
        OSError: it cannot be written.
    """
    if is_remote(path):
        objects.write(path, data)
    else:
        folders.write_new(path, data)


def touch(path: str) -> None:
    """Makes an empty file, if it is absent.

    Raises:
        FileNotFoundError: its folder is absent.
    """
    if is_remote(path):
        objects.write(path, b"")
    else:
        folders.touch(path)


def copy(source: str, target: str) -> None:
    """Copies a file; within a store the store itself copies it.

    Raises:
        OSError: it cannot be read or written.
    """
    if is_remote(source) and is_remote(target) and objects.same_store(source, target):
        objects.copy(source, target)
        return
    with open_file(source) as stream, new_file(target) as sink:
        while block := stream.read(_BLOCK):
            sink.write(block)


def link_or_copy(source: str, target: str) -> None:
    """Shares a file: a hard link on a disk, a copy by the store, or a copy where neither is.

    Raises:
        OSError: none of them can be made.
    """
    if is_remote(source) or is_remote(target):
        copy(source, target)
    else:
        folders.link_or_copy(source, target)


def remove(path: str) -> None:
    """Removes a file, or a folder with all its content; does nothing if it is absent."""
    if is_remote(path):
        objects.remove(path)
    else:
        local.remove(path)


def make_folders(path: str) -> None:
    """Makes a folder and its parents; only the launcher may call this, see `make_folder`.

    Raises:
        OSError: one cannot be made.
    """
    if not is_remote(path):
        folders.make_folders(path)


def make_folder(path: str) -> None:
    """Makes a folder, if it is absent, in an existing parent folder; see `folders.make_folder`.

    Raises:
        RunError: the parent folder is absent.
    """
    if not is_remote(path):
        folders.make_folder(path)


def make_new_folder(path: str) -> None:
    """Makes a folder that must not exist yet.

    Raises:
        OSError: it exists, or cannot be made.
    """
    if not is_remote(path):
        folders.make_new_folder(path)


def is_file(path: str) -> bool:
    """Whether a path is a file."""
    return objects.is_file(path) if is_remote(path) else local.is_file(path)


def exists(path: str) -> bool:
    """Whether a path exists, as a file or a folder."""
    if not is_remote(path):
        return folders.exists(path)
    return objects.is_file(path) or objects.is_folder(path)


def is_special(path: str) -> bool:
    """Whether a path exists and is not a regular file: reading a pipe could wait without end."""
    return not is_remote(path) and folders.is_special(path)


def size(path: str) -> int:
    """The size of a file in bytes.

    Raises:
        OSError: there is no such file.
    """
    return objects.size(path) if is_remote(path) else folders.size(path)


def sha256(path: str) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks."""
    if not is_remote(path):
        return local.sha256(path)
    digest = hashlib.sha256()
    with objects.open_file(path) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def names(folder: str) -> list[str]:
    """The names directly in a folder, sorted.

    Raises:
        OSError: there is no such folder.
    """
    if is_remote(folder):
        return sorted({name.rstrip("/") for name in objects.top_level(folder)})
    return folders.names(folder)


def top_level(root: str) -> list[str]:
    """The names directly under `root`, sorted; those of folders end in "/".

    A link never counts as a folder. A name that is not UTF-8 has lone surrogates, as Python's `os`
    functions give it.

    Raises:
        OSError: the directory is absent or cannot be listed.
    """
    return objects.top_level(root) if is_remote(root) else local.top_level(root)


def list_files(root: str, under: str = "") -> Iterator[Entry]:
    """All files under a root or a part of it, sorted by name, without folders.

    On a disk every other entry is listed: links, devices and folders that cannot be listed come
    with the reason why they must not be opened. A link may be opened only if it leads to a file
    inside the root.

    Args:
        root: a directory or an object store's URL.
        under: "" for everything, a folder's name with "/" at its end, or a file's name.

    Raises:
        RunError: the object store does not answer.
    """
    lister = objects.list_files if is_remote(root) else local.list_files
    return lister(root, under)


def walk_files(root: str) -> Iterator[str]:
    """The relative '/'-separated paths of all files under `root`, sorted."""
    return iter(sorted(objects.walk(root))) if is_remote(root) else local.walk_files(root)


def stat_files(root: str) -> Iterator[FileStat]:
    """Size and version of every file under a root, in no certain order; nothing is read.

    Args:
        root: a directory or an object store's URL.

    Raises:
        RunError: the object store does not answer.
    """
    return objects.stat_files(root) if is_remote(root) else local.stat_files(root)


def stat_file(root: str, name: str) -> FileStat:
    """Size and version of one file; of an absent one, size -1 and no version.

    Args:
        root: a directory or an object store's URL.
        name: relative to it.

    Raises:
        RunError: the object store does not answer.
    """
    return objects.stat_file(root, name) if is_remote(root) else local.stat_file(root, name)


def sync_to_disk(paths: Iterable[str]) -> None:
    """Waits until files, and folders with all their content, are on their disks.

    Raises:
        OSError: a disk failed.
    """
    local.sync_to_disk(path for path in paths if not is_remote(path))


def sync(path: str) -> None:
    """Waits until a file, or the entries of a folder, are on their disk.

    Raises:
        OSError: the disk failed.
    """
    if not is_remote(path):
        local.sync(path)


@contextmanager
def hold(folder: str) -> Iterator[Callable[[], None]]:
    """Holds a folder against other runs while a block runs.

    Returns:
        A function that raises a RunError if another run has taken the folder over, which can happen
        on a store that was not reached for long.

    Raises:
        BlockingIOError: another run holds it.
        OSError: it cannot be opened.
    """
    if is_remote(folder):
        from facemill.transforms.storage import lease

        with lease.hold(folder) as held:
            yield held.check
    else:
        with folders.hold(folder):
            yield _always_held


def _always_held() -> None:
    """A lock on a disk lasts as long as its process."""


def map_shared(path: str) -> Any:
    """Opens a file that a worker wrote, for Arrow's readers, mapped into memory if on a disk.

    Raises:
        NotSharedError: this machine does not see it.
    """
    if not is_remote(path):
        return folders.map_shared(path)
    import pyarrow as pa

    try:
        return pa.BufferReader(objects.read_bytes(path))
    except FileNotFoundError:
        raise not_seen(path) from None


def map_array(path: str) -> Any:
    """Opens an array that the launcher wrote in numpy's format: a `numpy.ndarray`, read only.

    Raises:
        NotSharedError: this machine does not see it.
    """
    if not is_remote(path):
        return folders.map_array(path)
    import numpy as np

    try:
        return np.load(io.BytesIO(objects.read_bytes(path)))
    except FileNotFoundError:
        raise not_seen(path) from None


def open_arrow(path: str) -> Any:
    """Opens a file for Arrow's readers: a `pyarrow.NativeFile`; of a store, all of it in memory.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_remote(path):
        return folders.open_arrow(path)
    import pyarrow as pa

    return pa.BufferReader(objects.read_bytes(path))

"""Operations on folders and files of disks, beside reading and writing."""

import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from facemill.transforms.core.errors import NotSharedError


def make_folders(path: str) -> None:
    """Makes a folder and its parents; only the launcher may call this, see `make_folder`.

    Raises:
        OSError: one cannot be made.
    """
    os.makedirs(path, exist_ok=True)


def make_folder(path: str) -> None:
    """Makes a folder, if it is absent, in an existing parent folder.

    Workers call this for their files and never make the parent: the launcher made that, under a
    random name. Where the parent is absent, this machine mounts another disk or none, and no other
    machine would see the files.

    Raises:
        RunError: the parent folder is absent.
    """
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise not_seen(os.path.dirname(path)) from None


def claim(path: str) -> bool:
    """Makes an empty file; False if it exists, so that only one of several callers succeeds.

    Raises:
        RunError: the parent folder is absent.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    except FileNotFoundError:
        raise not_seen(os.path.dirname(path)) from None
    return True


def not_seen(path: str) -> NotSharedError:
    """The error for a path under the output that another machine wrote and this one lacks."""
    return NotSharedError(path, platform.node() or "a worker")


def make_new_folder(path: str) -> None:
    """Makes a folder that must not exist yet.

    Raises:
        OSError: it exists, or cannot be made.
    """
    os.mkdir(path)


def make_temporary_folder() -> str:
    """Makes a new folder among the temporary files of this machine and returns its path."""
    return tempfile.mkdtemp(prefix="facemill-")


def exists(path: str) -> bool:
    """Whether a path on a disk exists."""
    return os.path.exists(path)


def size(path: str) -> int:
    """The size of a file on a disk, in bytes.

    Raises:
        OSError: there is no such file.
    """
    return os.path.getsize(path)


def names(folder: str) -> list[str]:
    """The names directly in a folder on a disk, sorted.

    Raises:
        OSError: there is no such folder.
    """
    return sorted(os.listdir(folder))


def write_new(path: str, data: bytes) -> None:
    """Writes a file directly under its final name; its folder must not be read yet.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "wb") as stream:
        stream.write(data)


def touch(path: str) -> None:
    """Makes an empty file, if it is absent.

    Raises:
        FileNotFoundError: its folder is absent.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))


def move(source: str, target: str) -> None:
    """Renames a file or folder on the same disk; an existing file of the new name is replaced.

    Raises:
        OSError: it cannot be moved.
    """
    os.rename(source, target)


def link_or_copy(source: str, target: str) -> None:
    """Makes a hard link to a file, or a copy where the disk has no links.

    Raises:
        OSError: neither can be made.
    """
    try:
        os.link(source, target)
    except OSError:
        # The target is on another disk, or the disk has no links.
        shutil.copyfile(source, target)


@contextmanager
def hold(folder: str) -> Iterator[None]:
    """Locks a folder against other runs while a block runs.

    Raises:
        BlockingIOError: another run has locked it.
        OSError: it cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def open_shared(path: str) -> BinaryIO:
    """Opens a file that a worker wrote under the output, for reads at random offsets.

    It has no buffer, which would slow down small reads at random offsets.

    Raises:
        NotSharedError: this machine does not see it.
    """
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise not_seen(path) from None


def map_shared(path: str) -> Any:
    """Maps a file that a worker wrote under the output into memory: a `pyarrow.MemoryMappedFile`.

    Raises:
        NotSharedError: this machine does not see it.
    """
    import pyarrow as pa

    try:
        return pa.memory_map(path)
    except FileNotFoundError:
        raise not_seen(path) from None


def map_array(path: str) -> Any:
    """Maps an array that the launcher wrote in numpy's format: a `numpy.ndarray`, read only.

    Raises:
        NotSharedError: this machine does not see it.
    """
    import numpy as np

    try:
        return np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise not_seen(path) from None


def open_arrow(path: str) -> Any:
    """Opens a file on a disk for Arrow's readers: a `pyarrow.OSFile`.

    Raises:
        OSError: it cannot be opened.
    """
    import pyarrow as pa

    return pa.OSFile(path)


def is_special(path: str) -> bool:
    """Whether a path exists and is not a regular file: reading a pipe could wait without end."""
    return os.path.exists(path) and not os.path.isfile(path)

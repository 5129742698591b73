"""What the launcher and the workers do with folders and files beside reading and writing them."""

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
    """Makes a folder and those above it; for the launcher alone, see `make_folder`.

    Raises:
        OSError: one cannot be made.
    """
    os.makedirs(path, exist_ok=True)


def make_folder(path: str) -> None:
    """Makes a folder, if it is absent, in one that is there.

    Workers call this for what they write, and never make what is above: the launcher has made it,
    under a name that chance gave. Where it is absent, another disk is mounted, or none, and what
    is written there nobody sees.

    Raises:
        RunError: the folder that it is to be in is not there.
    """
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise not_seen(os.path.dirname(path)) from None


def claim(path: str) -> bool:
    """Makes an empty file; False if it is there already, so that of several callers one gets it.

    Raises:
        RunError: the folder that it is to be in is not there.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    except FileNotFoundError:
        raise not_seen(os.path.dirname(path)) from None
    return True


def not_seen(path: str) -> NotSharedError:
    """Of something under the output that was made elsewhere, and is not there on this machine."""
    return NotSharedError(path, platform.node() or "a worker")


def make_new_folder(path: str) -> None:
    """Makes a folder that must not be there yet.

    Raises:
        OSError: it is there, or cannot be made.
    """
    os.mkdir(path)


def make_temporary_folder() -> str:
    """Makes a new folder among the temporary files of this machine; its path."""
    return tempfile.mkdtemp(prefix="facemill-")


def exists(path: str) -> bool:
    """Whether there is anything at a path on a disk."""
    return os.path.exists(path)


def size(path: str) -> int:
    """Of a file on a disk, in bytes.

    Raises:
        OSError: there is none.
    """
    return os.path.getsize(path)


def names(folder: str) -> list[str]:
    """The names of what lies directly in a folder on a disk, sorted.

    Raises:
        OSError: there is no such folder.
    """
    return sorted(os.listdir(folder))


def write_new(path: str, data: bytes) -> None:
    """Writes a file under its final name, in a folder that nobody reads before all of it is there.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "wb") as stream:
        stream.write(data)


def touch(path: str) -> None:
    """Makes an empty file, if it is absent.

    Raises:
        FileNotFoundError: its folder is not there.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))


def move(source: str, target: str) -> None:
    """Gives a file or folder another name on the same disk; what had that name is replaced.

    Raises:
        OSError: it cannot be moved.
    """
    os.rename(source, target)


def link_or_copy(source: str, target: str) -> None:
    """Gives a file a second name, or makes a second file where the disk has no links.

    Raises:
        OSError: neither can be done.
    """
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one without links.
        shutil.copyfile(source, target)


@contextmanager
def hold(folder: str) -> Iterator[None]:
    """Holds a folder against other runs while a block runs.

    Raises:
        BlockingIOError: another run holds it.
        OSError: it cannot be opened.
    """
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


def open_shared(path: str) -> BinaryIO:
    """Opens a file that a worker wrote under the output, for reads here and there.

    Without a buffer, which would only cost: of each such file little is read at a time.

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


def real_path(path: str) -> str:
    """The path of a file on a disk after all links."""
    return os.path.realpath(path)


def lies_under(path: str, root: str) -> bool:
    """Whether a path is a root or below it; both are real paths."""
    return os.path.commonpath([path, root]) == root


def is_special(path: str) -> bool:
    """Whether something other than a file is there: a pipe would be waited for without end."""
    return os.path.exists(path) and not os.path.isfile(path)

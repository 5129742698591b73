"""Reading, writing and listing files on disks. All workers mount them at the same path."""

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import readable
from facemill.transforms.storage.entry import (
    DEAD_LINK,
    LINK_OUT,
    LINK_TO_FOLDER,
    NOT_A_FILE,
    NOT_UTF8,
    Entry,
    FileStat,
)
from facemill.transforms.storage.folders import not_seen

_BLOCK = 1 << 20
# Syncing one file takes milliseconds. For more files than this, such as the images of a synthetic
# collection, one call syncs all that the machine has not written yet.
_MANY_FILES = 10_000


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading: seekable, binary; the caller closes it.

    Raises:
        OSError: it cannot be opened.
    """
    return open(path, "rb")


def read_bytes(path: str) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: it cannot be opened or read.
    """
    with open_file(path) as stream:
        return stream.read()


def read_range(stream: BinaryIO, offset: int, length: int) -> bytes:
    """`length` bytes of an open file from `offset` on.

    Several threads may read from one file on a disk at the same time.

    Raises:
        RunError: the file ends before that.
    """
    try:
        descriptor = stream.fileno()
    except OSError:
        stream.seek(offset)
        data = stream.read(length)
    else:
        data = os.pread(descriptor, length, offset)
    if len(data) != length:
        raise RunError(
            f"{stream.name} must hold {length} bytes at {offset}, got {len(data)}; "
            "it was changed while the job ran, so run the command again."
        )
    return data


@contextmanager
def new_file(path: str, sync: bool = True, buffering: int = -1) -> Iterator[BinaryIO]:
    """Opens a file for writing in a block; it gets its name, complete, when the block ends.

    Args:
        path: of the file; its folder must exist.
        sync: whether to wait for the disk, as for files that must survive a power cut. Files that
            only this run reads need not.
        buffering: as for `open`.

    Raises:
        RunError: its folder is absent.
        OSError: it cannot be written.
    """
    # A random name: writers in different containers may have the same process id.
    temporary = f"{path}.tmp-{secrets.token_hex(6)}"
    try:
        stream = open(temporary, "wb", buffering)  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise not_seen(os.path.dirname(path)) from None
    try:
        with stream:
            yield stream
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise


def write_atomically(path: str, data: bytes) -> None:
    """Writes `data` so that the file is either complete or absent, also after a power cut."""
    with new_file(path) as stream:
        stream.write(data)


def sync_to_disk(paths: Iterable[str]) -> None:
    """Waits until files, and folders with all their content, are on their disks.

    Raises:
        OSError: a disk failed.
    """
    found = []
    for path in paths:
        found.append(path)
        for folder, folders, names in os.walk(path):
            found += (os.path.join(folder, name) for name in folders + names)
    if len(found) > _MANY_FILES:
        os.sync()
        return
    for path in found:
        if not os.path.islink(path):
            sync(path)


def sync(path: str) -> None:
    """Waits until a file, or the entries of a folder, are on their disk.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network disks cannot sync folders.
        if not (os.path.isdir(path) and error.errno in (errno.EINVAL, errno.ENOTSUP, errno.EBADF)):
            raise
    finally:
        os.close(descriptor)


def walk_files(root: str) -> Iterator[str]:
    """The relative '/'-separated paths of all files under `root`, sorted."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            found.append(os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/"))
    yield from sorted(found)


def stat_files(root: str) -> Iterator[FileStat]:
    """See `transforms.storage.stat_files`; folders that cannot be listed are passed over."""
    folders = [""]
    while folders:
        under = folders.pop()
        try:
            with os.scandir(os.path.join(root, under)) as found:
                for item in found:
                    if item.is_dir(follow_symlinks=False):
                        folders.append(f"{under}{item.name}/")
                    else:
                        yield stat_file(root, under + item.name)
        except OSError:
            continue


def stat_file(root: str, name: str) -> FileStat:
    """See `transforms.storage.stat_file`."""
    try:
        found = os.stat(os.path.join(root, name))
    except OSError:
        return FileStat(name, -1, "")
    return FileStat(name, found.st_size, str(found.st_mtime_ns), found.st_mtime)


def is_file(path: str) -> bool:
    """Whether a path is a file."""
    return os.path.isfile(path)


def top_level(root: str) -> list[str]:
    """The names directly under `root`, sorted; those of folders end in "/".

    A link never counts as a folder. A name that is not UTF-8 has lone surrogates, as Python's `os`
    functions give it.

    Raises:
        OSError: the directory is absent or cannot be listed.
    """
    with os.scandir(root) as found:
        return sorted(
            f"{item.name}/" if item.is_dir(follow_symlinks=False) else item.name for item in found
        )


def list_files(root: str, under: str = "") -> Iterator[Entry]:
    """All files under a root or a part of it, sorted by name, without folders.

    On a disk every other entry is listed: links, devices and folders that cannot be listed come
    with the reason why they must not be opened. A link may be opened only if it leads to a file
    inside the root.

    Args:
        root: a directory.
        under: "" for everything, a folder's name with "/" at its end, or a file's name.

    """
    real_root = os.path.realpath(root)
    if under and not under.endswith("/"):
        yield _entry(under, _reason(os.path.join(root, under), real_root))
        return
    yield from _walk(root, under, real_root)


def _walk(root: str, under: str, real_root: str) -> Iterator[Entry]:
    try:
        names = top_level(os.path.join(root, under))
    except OSError as error:
        text = f"folder cannot be listed: {error.strerror or error}"
        yield _entry(under.rstrip("/"), Reason(ReasonCode.FOLDER_NOT_LISTABLE, text))
        return
    # Folders sort with their "/", which gives the order of the complete paths.
    for name in names:
        if name.endswith("/"):
            yield from _walk(root, under + name, real_root)
        else:
            yield _entry(under + name, _reason(os.path.join(root, under + name), real_root))


def _reason(path: str, real_root: str) -> Reason | None:
    """Why an entry that is not a folder must not be opened, or None."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            real = os.path.realpath(path)
            if os.path.commonpath([real, real_root]) != real_root:
                return LINK_OUT
            mode = os.stat(path).st_mode
            if stat.S_ISDIR(mode):
                return LINK_TO_FOLDER
    except OSError:
        return DEAD_LINK
    return None if stat.S_ISREG(mode) else NOT_A_FILE


def _entry(name: str, reason: Reason | None) -> Entry:
    # Python gives bytes that are not UTF-8 as lone surrogates, which no column can hold.
    if readable(name) == name:
        return Entry(name, reason)
    # Another file may have the escapes as its name, but no listed file is in a folder ".".
    folder, slash, base = readable(name.replace("\\", r"\\")).rpartition("/")
    return Entry(f"{folder}{slash}./{base}", NOT_UTF8)


def sha256(path: str) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def remove(path: str) -> None:
    """Removes a file, or a directory with all its content; does nothing if it is absent."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)

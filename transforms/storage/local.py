"""Where files lie: every path that a job reads or writes goes through here.

Paths are on disks that every worker sees at the same place. What is only read may also lie on an
object store (`gs://`, `s3://`, any other that Beam knows): see `transforms.storage.object_store`,
which is imported when the first such path is met, so that this module needs no Beam.
"""

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import readable
from facemill.transforms.storage.entry import (
    DEAD_LINK,
    LINK_OUT,
    LINK_TO_FOLDER,
    NOT_A_FILE,
    NOT_UTF8,
    Entry,
)

_BLOCK = 1 << 20
# One by one they are waited for in milliseconds each. More of them, such as the images of a
# synthetic collection, are left to one call for all that the machine has not written yet.
_MANY_FILES = 10_000
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_remote(path: str) -> bool:
    """Whether a path is the URL of an object store and not on a disk."""
    return _SCHEME.match(path) is not None


def join(root: str, relative: str) -> str:
    """The path of a file under a root.

    Args:
        root: a directory or an object store's URL.
        relative: '/'-separated.
    """
    if is_remote(root):
        return f"{root.rstrip('/')}/{relative}"
    return os.path.join(root, *relative.split("/"))


def absolute(path: str, flag: str, remote: bool = False) -> str:
    """The absolute form of a path that a person gave.

    Args:
        path: as typed; `~` is expanded.
        flag: the option it came from, for the message.
        remote: whether an object store's URL will do.

    Raises:
        UsageError: it is empty, or names an object store where a disk is needed.
    """
    if not path:
        raise UsageError(f"{flag} must name a path, got an empty one; give a directory.")
    if is_remote(path):
        if remote:
            return path.rstrip("/")
        raise UsageError(
            f"{flag} must be a path on a disk that all workers mount, got {path}; "
            "mount the bucket or copy it first."
        )
    return os.path.abspath(os.path.expanduser(path))


def check_apart(root: str, output: str, flag: str = "--input") -> None:
    """Refuses an output that a later run would take for images, or that has images in it.

    Args:
        root: absolute path or URL of what is read.
        output: absolute path.
        flag: that named what is read.

    Raises:
        UsageError: one lies in the other.
    """
    inside = os.path.realpath(root)
    if is_remote(root):
        return
    outside = os.path.realpath(output)
    common = os.path.commonpath([inside, outside])
    if common == inside:
        raise UsageError(
            f"--output must not lie in {flag}, got {output} in {root}; give another path."
        )
    if common == outside:
        raise UsageError(
            f"{flag} must not lie in --output, got {root} in {output}; give another path."
        )


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading: seekable, binary; the caller closes it.

    Raises:
        OSError: it cannot be opened.
        RunError: the object store does not answer.
    """
    if is_remote(path):
        from facemill.transforms.storage import object_store

        return object_store.open_file(path)
    return open(path, "rb")


def read_bytes(path: str) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: it cannot be opened or read.
        RunError: the object store does not answer.
    """
    with open_file(path) as stream:
        return stream.read()


def read_range(stream: BinaryIO, offset: int, length: int) -> bytes:
    """`length` bytes of an open file from `offset` on.

    From a file on a disk several threads may read at the same time.

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
    """A file to be written in a block, seen under its name when that ends: whole or not at all.

    Args:
        path: of the file; its folder must be there.
        sync: whether to wait for the disk, as for what is relied on after a power cut. What counts
            only as long as the run lives need not.
        buffering: as `open` has it.

    Raises:
        RunError: its folder is not there.
        OSError: it cannot be written.
    """
    # Containers share numbers of processes, so only chance tells writers apart.
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
    """Writes `data` so that the file is seen either whole or not at all, after a power cut too."""
    with new_file(path) as stream:
        stream.write(data)


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


def not_seen(path: str) -> RunError:
    """Of something under the output that was made elsewhere, and is not there on this machine."""
    return RunError(
        f"--output must be on storage that all workers see at the same path, but {path} is not "
        f"there on {platform.node() or 'a worker'}; mount it on every worker or give another path."
    )


def sync_to_disk(paths: Iterable[str]) -> None:
    """Returns when files, and folders with all that is in them, are on their disks.

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
    """Returns when a file, or the names of what is in a folder, are on their disk.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network disks know no such thing for folders.
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


def is_file(path: str) -> bool:
    """Whether a path names one file."""
    if is_remote(path):
        from facemill.transforms.storage import object_store

        return object_store.is_file(path)
    return os.path.isfile(path)


def top_level(root: str) -> list[str]:
    """The names directly under `root`, sorted; those of folders end in "/".

    A link is not a folder, wherever it leads. A name that is not UTF-8 holds lone surrogates, as
    the system's functions have it.

    Raises:
        OSError: there is no such directory, or it cannot be listed.
    """
    if is_remote(root):
        from facemill.transforms.storage import object_store

        return object_store.top_level(root)
    with os.scandir(root) as found:
        return sorted(
            f"{item.name}/" if item.is_dir(follow_symlinks=False) else item.name for item in found
        )


def list_files(root: str, under: str = "") -> Iterator[Entry]:
    """All files under a root or a part of it, sorted by their names, folders left out.

    On a disk nothing is left out because of what it is: links, devices and folders that cannot be
    listed come with the reason why they must not be opened. Links are opened only where they lead
    to a file inside the root.

    Args:
        root: a directory or an object store's URL.
        under: "" for everything, a folder's name with "/" at its end, or a file's name.

    Raises:
        RunError: the object store does not answer.
    """
    if is_remote(root):
        from facemill.transforms.storage import object_store

        yield from object_store.list_files(root, under)
        return
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
    # Folders sort with their "/", so that the order is that of the whole paths.
    for name in names:
        if name.endswith("/"):
            yield from _walk(root, under + name, real_root)
        else:
            yield _entry(under + name, _reason(os.path.join(root, under + name), real_root))


def _reason(path: str, real_root: str) -> Reason | None:
    """Why a file that is no folder must not be opened, or None."""
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
    # Bytes that are not UTF-8 come from the system as lone surrogates, which no column can hold.
    if readable(name) == name:
        return Entry(name, reason)
    # Another file may bear the escapes as its name, but no listed one is in a folder ".".
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
    """Removes a file or a directory with all that is in it; nothing happens if it is absent."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)

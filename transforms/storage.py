"""Where files lie: every path that a job reads or writes goes through here.

All paths are on disks that every worker sees at the same place. One module holds that rule, so
that object stores can be added without a change anywhere else.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from typing import BinaryIO

from transforms.errors import RunError, UsageError

_BLOCK = 1 << 20


def absolute(path: str, flag: str) -> str:
    """The absolute form of a path that a person gave.

    Args:
        path: as typed; `~` is expanded.
        flag: the option it came from, for the message.

    Raises:
        UsageError: it is empty or names an object store.
    """
    if not path:
        raise UsageError(f"{flag} must name a path, got an empty one; give a directory.")
    if "://" in path:
        raise UsageError(
            f"{flag} must be a path on a disk that all workers mount, got {path}; "
            "mount the bucket or copy it first."
        )
    return os.path.abspath(os.path.expanduser(path))


def read_bytes(path: str) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: it cannot be opened or read.
    """
    with open(path, "rb") as stream:
        return stream.read()


def read_range(stream: BinaryIO, offset: int, length: int) -> bytes:
    """`length` bytes of an open file from `offset` on.

    Raises:
        RunError: the file ends before that.
    """
    data = os.pread(stream.fileno(), length, offset)
    if len(data) != length:
        raise RunError(
            f"{stream.name} must hold {length} bytes at {offset}, got {len(data)}; "
            "it was changed while the job ran, so run the command again."
        )
    return data


def write_atomically(path: str, data: bytes) -> None:
    """Writes `data` so that the file is seen either whole or not at all."""
    temporary = f"{path}.tmp-{os.getpid()}"
    with open(temporary, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def walk_files(root: str) -> Iterator[str]:
    """The relative '/'-separated paths of all files under `root`, sorted."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            found.append(os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/"))
    yield from sorted(found)


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

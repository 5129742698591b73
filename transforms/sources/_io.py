"""What the sources need of `transforms.storage` that it does not offer yet; local disks only."""

import os
from typing import BinaryIO

from transforms.storage import read_bytes, walk_files

__all__ = ["file_size", "is_remote", "join", "list_files", "open_binary", "read_bytes"]


def is_remote(path: str) -> bool:
    """Whether a path lies in an object store."""
    return "://" in path


def join(root: str, *parts: str) -> str:
    """A path below `root`."""
    return os.path.join(root, *parts)


def open_binary(path: str) -> BinaryIO:
    """A seekable stream of a file's bytes."""
    return open(path, "rb")


def file_size(path: str) -> int:
    """Size of a file in bytes."""
    return os.stat(path).st_size


def list_files(root: str) -> list[tuple[str, int]]:
    """(relative '/'-separated path, size in bytes) of all files under `root`, sorted."""
    return [(name, os.lstat(os.path.join(root, name)).st_size) for name in walk_files(root)]

"""What the sources need of `transforms.storage` that it does not offer yet; local disks only."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from transforms.storage import walk_files

_NOT_UTF8 = "its name is not valid UTF-8"


@dataclass(frozen=True, slots=True)
class Entry:
    """A listed file: its '/'-separated relative name, and why it must not be opened, or ""."""

    name: str
    reason: str = ""


def is_remote(path: str) -> bool:
    """Whether a path lies in an object store."""
    return "://" in path


def is_file(path: str) -> bool:
    """Whether a path names one file."""
    return os.path.isfile(path)


def join(root: str, relative: str) -> str:
    """The path of a file under a root."""
    return os.path.join(root, relative)


def open_file(path: str) -> BinaryIO:
    """A seekable stream of a file's bytes."""
    return open(path, "rb")


def list_files(root: str) -> Iterator[Entry]:
    """All files under a root, sorted by their names."""
    for name in walk_files(root):
        text = name.encode("utf-8", "backslashreplace").decode("utf-8")
        yield Entry(text, "" if text == name else _NOT_UTF8)

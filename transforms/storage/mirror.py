"""A folder of this machine that is kept as a folder of an object store, such as checkpoints."""

import os
from collections.abc import Sequence

from facemill.transforms.storage import objects
from facemill.transforms.storage.stores import access


class Mirror:
    """Copies changes of a folder on a disk to an object store.

    Args:
        folder: of this machine.
        url: of the folder on the store.
        last: names of files that are written after all others, since they point to these.
    """

    def __init__(self, folder: str, url: str, last: Sequence[str] = ()) -> None:
        self._folder = folder
        self._url = url.rstrip("/")
        self._last = set(last)
        # Size and time of each file as it was copied.
        self._copied: dict[str, tuple[int, int]] = {}

    def pull(self) -> None:
        """Replaces the files of the folder by those of the store.

        Raises:
            OSError: a file cannot be written or read.
        """
        os.makedirs(self._folder, exist_ok=True)
        for name in self._local():
            os.remove(os.path.join(self._folder, name))
        names = objects.walk(self._url)
        contents = objects.read_many((f"{self._url}/{name}", 0, None) for name in names)
        for name, content in zip(names, contents, strict=True):
            if isinstance(content, OSError):
                raise content
            path = os.path.join(self._folder, *name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(content)
            self._copied[name] = _stamp(path)

    def push(self) -> None:
        """Uploads new and changed files, then deletes those on the store that are gone here.

        Raises:
            OSError: a file cannot be read or written.
        """
        there = {name: _stamp(os.path.join(self._folder, name)) for name in self._local()}
        changed = [name for name, stamp in there.items() if self._copied.get(name) != stamp]
        for some in (
            [name for name in changed if os.path.basename(name) not in self._last],
            [name for name in changed if os.path.basename(name) in self._last],
        ):
            list(access.pool().map(self._upload, some))
        gone = [name for name in self._copied if name not in there]
        objects.remove_files([f"{self._url}/{name}" for name in gone])
        self._copied = there

    def _upload(self, name: str) -> None:
        upload(os.path.join(self._folder, name), f"{self._url}/{name}")

    def _local(self) -> list[str]:
        return [
            os.path.relpath(os.path.join(folder, name), self._folder).replace(os.sep, "/")
            for folder, _, names in os.walk(self._folder)
            for name in names
        ]


def upload(path: str, url: str) -> None:
    """Copies a file of a disk to an object store.

    Raises:
        OSError: it cannot be read or written.
    """
    with open(path, "rb") as source, objects.new_file(url) as target:
        while block := source.read(1 << 20):
            target.write(block)


def upload_folder(folder: str, url: str) -> None:
    """Copies a file, or a folder with all its files, from a disk to an object store.

    Raises:
        OSError: a file cannot be read or written.
    """
    if os.path.isfile(folder):
        upload(folder, url)
        return
    found = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]
    targets = [f"{url}/{os.path.relpath(path, folder).replace(os.sep, '/')}" for path in found]
    list(access.pool().map(upload, found, targets))


def _stamp(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns

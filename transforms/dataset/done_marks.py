"""How many images a job has finished, reported through files, which work with every runner."""

import os
import secrets
import threading
import time

from facemill.transforms import storage

# Between two marks of a process on an object store.
_SECONDS = 5.0


def mark_done(folder: str, key: str, images: int) -> None:
    """Makes an empty file, the mark, whose name holds the number of images of a piece of work.

    Args:
        folder: of the marks; the first mark makes it, in a folder that the launcher has made.
        key: of the piece of work, without "-"; a piece that is done twice is counted once.
        images: number of its images.

    Raises:
        RunError: this machine does not see the parent of the marks' folder.
    """
    if storage.is_remote(folder):
        _marks.add(folder, key, images)
        return
    path = os.path.join(folder, f"{key}-{images}")
    try:
        storage.touch(path)
    except FileNotFoundError:
        # Only for the first piece of a run.
        storage.make_folder(folder)
        storage.touch(path)


def images_done(folder: str) -> int:
    """The number of finished images; 0 as long as there is no mark.

    Raises:
        OSError: the folder cannot be read.
        ValueError: a file in it is not a mark.
    """
    try:
        return sum(int(name.rpartition("-")[2]) for name in storage.names(folder))
    except FileNotFoundError:
        return 0


class _Marks:
    """Marks on an object store: one object for each process, written anew every few seconds.

    An object for each piece of work would cost more requests than the work itself. What a process
    does in its last seconds is not reported.
    """

    def __init__(self) -> None:
        self._done: dict[str, dict[str, int]] = {}
        self._written: dict[str, tuple[float, str]] = {}
        self._process = secrets.token_hex(6)
        self._lock = threading.Lock()

    def add(self, folder: str, key: str, images: int) -> None:
        with self._lock:
            done = self._done.setdefault(folder, {})
            done[key] = images
            at, before = self._written.get(folder, (-_SECONDS, ""))
            now = time.monotonic()
            if now - at < _SECONDS:
                return
            path = os.path.join(folder, f"{self._process}-{sum(done.values())}")
            self._written[folder] = now, path
        storage.touch(path)
        if before and before != path:
            storage.remove(before)


_marks = _Marks()

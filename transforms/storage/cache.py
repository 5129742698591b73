"""Files of artifacts on object stores, for programs that read disks: a bounded cache on this disk.

Files are stored under the SHA-256 that a manifest gives them, so a file is never stale, and several
processes share the cache.
"""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.storage import objects
from facemill.transforms.storage.paths import is_remote
from facemill.transforms.storage.stores import access

# Environment variables: where the cache is, and how many bytes it may have.
_FOLDER, _BYTES = "FACEMILL_CACHE", "FACEMILL_CACHE_BYTES"
_DEFAULT_BYTES = 50 << 30
_BLOCK = 8 << 20
# Files that are downloaded ahead of the one that is read, and files that are kept behind it.
_AHEAD, _KEPT = 4, 16
_TEMPORARY, _LOCK = ".tmp-", ".lock"
# Seconds without a write after which a download counts as left by a killed process.
_STALE = 3600
# Seconds after which a folder of linked files is removed, if nobody asks for it.
_OLD = 86_400

_SHA256 = re.compile("[0-9a-f]{64}")
_NO_NAMES = ("", ".", "..")

# Files that a reader of this process is about to open, with the number of readers.
_pinned: Counter[str] = Counter()
_lock = threading.Lock()


def machine_folder() -> str:
    """The folder of this user's facemill among the temporary files of this machine, made if absent.

    Raises:
        OSError: it cannot be made.
    """
    path = os.path.join(tempfile.gettempdir(), f"facemill-{os.getuid()}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def local_folder(root: str, entries: Iterable[Mapping[str, Any]]) -> str:
    """A folder on this disk that has some files of an artifact.

    Args:
        root: the artifact's directory or URL.
        entries: of `files` in its manifest: path, bytes, SHA-256.

    Returns:
        The root itself if it is on a disk; else a folder with the files in the same places, each
        checked against its SHA-256.

    Raises:
        RunError: a file is absent or differs from the manifest.
    """
    if not is_remote(root):
        return root
    found = list(entries)
    digest = hashlib.sha256(root.encode())
    for entry in sorted(found, key=lambda entry: entry["path"]):
        digest.update(f"{entry['path']}\0{entry['sha256']}\0".encode())
    folder = os.path.join(_cache(), "folders", digest.hexdigest()[:32])
    for entry, path in zip(found, local_files(root, found), strict=True):
        target = os.path.join(folder, *entry["path"].split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _link(path, target)
    os.utime(folder)
    return folder


def local_files(root: str, entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Paths on this disk of files of an artifact, in order.

    Files of a store are checked against their SHA-256. The next ones are downloaded ahead, and the
    last ones stay in the cache, so that a reader has time to open them.

    Args:
        root: the artifact's directory or URL.
        entries: of `files` in its manifest.

    Raises:
        RunError: a file is absent or differs from the manifest.
    """
    if not is_remote(root):
        yield from (f"{root}/{entry['path']}" for entry in entries)
        return
    waiting: deque[tuple[str, Future[str]]] = deque()
    yielded: deque[str] = deque()

    def next_one() -> str:
        path, download = waiting.popleft()
        yielded.append(path)
        if len(yielded) > _KEPT:
            _unpin(yielded.popleft())
        return download.result()

    try:
        for entry in entries:
            path = _path(entry)
            _pin(path)
            waiting.append((path, access.pool().submit(_fetch, root, entry)))
            if len(waiting) > _AHEAD:
                yield next_one()
        while waiting:
            yield next_one()
    finally:
        for _, download in waiting:
            download.cancel()
        for path in (*yielded, *(path for path, _ in waiting)):
            _unpin(path)


def _pin(path: str) -> None:
    with _lock:
        _pinned[path] += 1


def _unpin(path: str) -> None:
    with _lock:
        _pinned[path] -= 1
        if _pinned[path] <= 0:
            del _pinned[path]


def _path(entry: Mapping[str, Any]) -> str:
    """Where the cache has a file; a manifest could name any path of this machine as its hash.

    Raises:
        RunError: path or SHA-256 of the entry are none.
    """
    parts = str(entry["path"]).split("/")
    if not _SHA256.fullmatch(str(entry["sha256"])) or any(one in _NO_NAMES for one in parts):
        raise RunError(
            f"A manifest must name files below its artifact, with their SHA-256, got "
            f"{entry['path']!r} with {entry['sha256']!r}; do not use this artifact."
        )
    return os.path.join(_cache(), "files", entry["sha256"])


def local_file(root: str, entry: Mapping[str, Any]) -> str:
    """The path on this disk of a file of an artifact; of a store, a checked copy in the cache.

    Args:
        root: the artifact's directory or URL.
        entry: of `files` in its manifest.

    Raises:
        RunError: the file is absent or differs from the manifest.
    """
    return _fetch(root, entry) if is_remote(root) else f"{root}/{entry['path']}"


def fits(entries: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the cache can hold files beside others: reading them in any order costs one download.

    Args:
        entries: of `files` in a manifest.
    """
    return sum(entry["bytes"] for entry in entries) <= _bound() // 2


def _fetch(root: str, entry: Mapping[str, Any]) -> str:
    path = _path(entry)
    if _is_there(path, entry):
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # Of several processes that want the file, one downloads it.
    with _locked(path):
        if not _is_there(path, entry):
            _make_room(os.path.dirname(path), entry["bytes"])
            _fill(root, entry, path)
    return path


def _is_there(path: str, entry: Mapping[str, Any]) -> bool:
    try:
        if os.path.getsize(path) != entry["bytes"]:
            return False
        # Marks it as used, for `_make_room`.
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Holds a file of the cache against other processes and threads, which wait for it."""
    lock = os.open(f"{path}{_LOCK}", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(FileNotFoundError):
            os.remove(f"{path}{_LOCK}")
        os.close(lock)


def _fill(root: str, entry: Mapping[str, Any], path: str) -> None:
    url = f"{root.rstrip('/')}/{entry['path']}"
    temporary = f"{path}{_TEMPORARY}{secrets.token_hex(6)}"
    try:
        if _download(url, entry["bytes"], temporary) != entry["sha256"]:
            raise RunError(
                f"{url} must have the SHA-256 of its manifest ({entry['sha256'][:12]}..., "
                f"{entry['bytes']} bytes), but differs; it was changed or damaged, so write the "
                "artifact again."
            )
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.remove(temporary)


def _download(url: str, size: int, path: str) -> str:
    """Downloads an object and returns the SHA-256 of its bytes; reads no more than one over."""
    digest = hashlib.sha256()
    with open(path, "wb") as stream:
        for start in range(0, size + 1, _BLOCK):
            try:
                data = objects.read_bytes(url, start, min(_BLOCK, size + 1 - start))
            except FileNotFoundError:
                raise RunError(
                    f"{url} must exist, but is missing; write the artifact again."
                ) from None
            stream.write(data)
            digest.update(data)
    return digest.hexdigest()


def _make_room(folder: str, size: int) -> None:
    """Removes the files that were used longest ago until another one fits within the bound."""
    bound = _bound()
    _forget_folders()
    found = []
    for item in os.scandir(folder):
        with suppress(FileNotFoundError):
            stat = item.stat()
            found.append((stat.st_mtime_ns, stat.st_size, item.path))
    total = sum(one[1] for one in found) + size
    fresh = time.time_ns() - _STALE * 10**9
    for used, freed, path in sorted(found):
        if total <= bound:
            return
        under_way = _TEMPORARY in path or path.endswith(_LOCK)
        if path in _pinned or (under_way and used > fresh):
            continue
        # A program that has the file open reads on.
        with suppress(FileNotFoundError):
            os.remove(path)
        total -= freed


def _forget_folders() -> None:
    """Removes folders that nobody asked for since yesterday; their files have names there too."""
    folders = os.path.join(_cache(), "folders")
    with suppress(FileNotFoundError):
        for item in os.scandir(folders):
            if item.stat().st_mtime < time.time() - _OLD:
                shutil.rmtree(item.path, ignore_errors=True)


def _bound() -> int:
    given = os.environ.get(_BYTES)
    try:
        return _DEFAULT_BYTES if given is None else int(given)
    except ValueError:
        raise UsageError(f"{_BYTES} must be a number of bytes, got {given!r}; change it.") from None


def _cache() -> str:
    return os.environ.get(_FOLDER) or os.path.join(machine_folder(), "cache")


def _link(path: str, target: str) -> None:
    """Gives a file of the cache a second name, in place of what had that name."""
    temporary = f"{target}.tmp-{secrets.token_hex(6)}"
    os.link(path, temporary)
    os.replace(temporary, target)
    # Nothing was renamed if both are names of the same file already.
    with suppress(FileNotFoundError):
        os.remove(temporary)

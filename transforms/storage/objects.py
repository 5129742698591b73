"""Files on object stores: what `transforms.storage` does with a URL.

An object appears complete or not at all. Folders do not exist; a name with "/" stands for them.
"""

import errno
import hashlib
import io
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from facemill.transforms.storage.entry import Entry, FileStat
from facemill.transforms.storage.folders import not_seen
from facemill.transforms.storage.stores import access
from facemill.transforms.storage.stores.base import Absent, ConditionError, Listed, address
from facemill.transforms.storage.stores.errors import not_found

# Files up to this size are uploaded from memory by one request.
_IN_MEMORY = 32 << 20
# What a stream reads at a time: it doubles as long as the reader goes on without a gap.
_FIRST_BLOCK, _LARGEST_BLOCK = 1 << 18, 1 << 23
_BUFFER = 1 << 16


def read_bytes(url: str, start: int = 0, length: int | None = None) -> bytes:
    """Bytes of an object.

    Raises:
        OSError: there is no such object, or access is refused.
        RunError: the store does not answer.
    """
    return access.call(url, lambda store, key: store.get(key, start, length))


def read_many(
    requests: Iterable[tuple[str, int, int | None]], in_flight: int = access.THREADS
) -> Iterator[bytes | OSError]:
    """The bytes of many objects or parts of objects, in order, with many requests in flight.

    Args:
        requests: (URL, offset, length or None for the rest) of each.
        in_flight: how many results may wait; bounds the memory.

    Raises:
        RunError: the store does not answer.
    """
    waiting: deque[Future[bytes | OSError]] = deque()
    for one in requests:
        waiting.append(access.pool().submit(_read_or_error, *one))
        if len(waiting) >= in_flight:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read_or_error(url: str, start: int, length: int | None) -> bytes | OSError:
    try:
        return read_bytes(url, start, length)
    except OSError as error:
        return error


def write(url: str, data: bytes) -> None:
    """Writes an object; an existing one is replaced.

    Raises:
        OSError: access is refused.
        RunError: the store does not answer.
    """
    access.call(url, lambda store, key: store.put(key, data))


@contextmanager
def new_file(url: str) -> Iterator[BinaryIO]:
    """Opens a new object for writing in a block; it appears, complete, when the block ends.

    Args:
        url: of the object.

    Raises:
        OSError: access is refused.
        RunError: the store does not answer.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, prefix="facemill-") as spooled:
        stream = cast(BinaryIO, spooled)
        yield stream
        _put(url, stream, stream.seek(0, os.SEEK_END), None)


@contextmanager
def write_once(url: str, run: str) -> Iterator[BinaryIO]:
    """Opens an object of an artifact for writing; it appears, complete, when the block ends.

    An object of the same content may stand there already, since a runner may try a bundle again.
    One of other content, which an earlier run left, is replaced. A worker of a run that has ended
    writes nothing: its lateness must not change a complete artifact.

    Args:
        url: of the object.
        run: URL of an object that exists as long as the run does.

    Raises:
        NotSharedError: the run has ended.
        OSError: access is refused.
        RunError: the store does not answer.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, prefix="facemill-") as spooled:
        stream = cast(BinaryIO, spooled)
        yield stream
        length = stream.seek(0, os.SEEK_END)
        _check_run(run)
        try:
            _put(url, stream, length, Absent)
        except ConditionError:
            found = access.call(url, lambda store, key: store.stat(key))
            if found is None or found.size != length or found.md5 != _md5(stream):
                _check_run(run)
                _put(url, stream, length, None)


def _check_run(run: str) -> None:
    if not is_file(run):
        raise not_seen(run)


def _put(url: str, stream: BinaryIO, size: int, only_if: Any) -> None:
    if size <= _IN_MEMORY:
        stream.seek(0)
        data = stream.read()
        access.call(url, lambda store, key: store.put(key, data, only_if))
        return

    def send(store: Any, key: str) -> None:
        stream.seek(0)
        store.put_stream(key, stream, size, only_if)

    access.call(url, send)


def _md5(stream: BinaryIO) -> str:
    stream.seek(0)
    # The hash by which stores identify content; it protects nothing here.
    digest = hashlib.md5(usedforsecurity=False)
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def size(url: str) -> int:
    """The size of an object in bytes.

    Raises:
        OSError: there is no such object.
        RunError: the store does not answer.
    """
    found = access.call(url, lambda store, key: store.stat(key))
    if found is None:
        raise not_found(url)
    return found.size


def is_file(url: str) -> bool:
    """Whether there is an object of exactly this name."""
    where = address(url)
    if where is None or not where.key:
        return False
    return access.call(url, lambda store, key: store.stat(key)) is not None


def is_folder(url: str) -> bool:
    """Whether an object's name begins with the URL as a folder."""
    prefix = f"{url.rstrip('/')}/"
    found, _ = access.call(prefix, lambda store, key: store.list(key))
    return bool(found)


def top_level(root: str) -> list[str]:
    """See `transforms.storage.top_level`; only one level is listed.

    Raises:
        FileNotFoundError: no object's name begins with the root.
    """
    prefix = f"{root.rstrip('/')}/"
    found = _names(prefix, one_level=True)
    # An empty object may stand for the folder itself.
    names = sorted({name for name, _ in found} - {""})
    if not names:
        raise FileNotFoundError(errno.ENOENT, "no objects", root)
    return names


def list_files(root: str, under: str = "") -> Iterator[Entry]:
    """See `transforms.storage.list_files`."""
    if under and not under.endswith("/"):
        yield Entry(under)
        return
    folder = f"{root.rstrip('/')}/{under}"
    for name in sorted(walk(folder)):
        yield Entry(under + name)


def stat_files(root: str) -> Iterator[FileStat]:
    """See `transforms.storage.stat_files`."""
    for one, name in _listed(f"{root.rstrip('/')}/", one_level=False):
        if not (one.size == 0 and (not name or name.endswith("/"))):
            yield FileStat(name, one.size, one.version)


def stat_file(root: str, name: str) -> FileStat:
    """See `transforms.storage.stat_file`."""
    found = access.call(f"{root.rstrip('/')}/{name}", lambda store, key: store.stat(key))
    return (
        FileStat(name, -1, "") if found is None else FileStat(name, found.size, str(found.version))
    )


def walk(folder: str) -> list[str]:
    """The names of all objects below a prefix, relative to it, without empty markers of folders."""
    prefix = f"{folder.rstrip('/')}/"
    found = _names(prefix, one_level=False)
    return [name for name, size in found if not (size == 0 and (not name or name.endswith("/")))]


def _names(prefix: str, one_level: bool) -> list[tuple[str, int]]:
    """Names below a prefix, relative to it, with their sizes."""
    return [(name, one.size) for one, name in _listed(prefix, one_level)]


def _listed(prefix: str, one_level: bool) -> Iterator[tuple[Listed, str]]:
    """Objects below a prefix and their names relative to it; each page is a call of its own."""
    start = len(access.parse(prefix).key)
    page: str | None = None
    while True:
        found, page = access.call(
            prefix,
            lambda store, key: store.list(key, one_level, page),  # noqa: B023
        )
        yield from ((one, one.key[start:]) for one in found)
        if page is None:
            return


def remove(url: str) -> None:
    """Deletes an object, and all objects below the URL as a folder."""
    where = access.parse(url)
    names = [url] if where.key else []
    prefix = f"{url.rstrip('/')}/"
    found = _names(prefix, one_level=False)
    # Markers of folders go too.
    remove_files([*names, *(prefix + name for name, _ in found)])


def remove_files(urls: Sequence[str]) -> None:
    """Deletes objects of one bucket, many at a time; absent ones are ignored."""
    if not urls:
        return
    at_once = access.call(urls[0], lambda store, _: store.deleted_at_once)
    parts = [urls[start : start + at_once] for start in range(0, len(urls), at_once)]
    if len(parts) == 1:
        _delete(parts[0])
    else:
        list(access.pool().map(_delete, parts))


def _delete(urls: Sequence[str]) -> None:
    keys = [access.parse(one).key for one in urls]
    access.call(urls[0], lambda store, _: store.delete(keys))


def same_store(first: str, second: str) -> bool:
    """Whether one request can copy an object from one URL to the other."""
    return access.parse(first).scheme == access.parse(second).scheme


def copy(source: str, target: str) -> None:
    """Copies an object within a store, by the store itself.

    Raises:
        OSError: there is no such object, or access is refused.
    """
    there = access.parse(source)
    access.call(target, lambda store, key: store.copy(there.bucket, there.key, key))


def open_file(url: str) -> BinaryIO:
    """Opens an object for reading; see `transforms.storage.open_file`."""
    return cast(BinaryIO, io.BufferedReader(_Stream(url), _BUFFER))


class _Stream(io.RawIOBase):
    """Reads an object in blocks, which grow while it is read without gaps.

    Args:
        url: of the object.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.name = url
        self._position = 0
        self._start = 0
        self._ahead = _FIRST_BLOCK
        self._block = read_bytes(url, 0, _FIRST_BLOCK)
        # None until the end was seen.
        self._size = len(self._block) if len(self._block) < _FIRST_BLOCK else None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            if self._size is None:
                self._size = size(self.name)
            offset += self._size
        self._position = max(0, offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        if not len(buffer) or (self._size is not None and self._position >= self._size):
            return 0
        end = self._start + len(self._block)
        if not self._start <= self._position < end:
            self._ahead = min(2 * self._ahead, _LARGEST_BLOCK) if self._position == end else _BUFFER
            wanted = max(len(buffer), self._ahead)
            self._block, self._start = read_bytes(self.name, self._position, wanted), self._position
            # An empty answer beyond the end does not say where the end is.
            if len(self._block) < wanted and (self._block or self._position == end):
                self._size = self._position + len(self._block)
        offset = self._position - self._start
        data = self._block[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

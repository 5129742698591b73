"""Reads image files, for sources in which each image is a file."""

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from facemill.transforms import storage
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Unreadable


def read_images(root: str, paths: Sequence[str]) -> Iterator[bytes | Unreadable]:
    """All bytes of each file, in order; of a store many files at a time.

    Args:
        root: the input.
        paths: paths of the files, relative to the input.
    """
    full = [storage.join(root, path) for path in paths]
    yield from read_from_store(full) if storage.is_remote(root) else map(_read_image, full)


def read_from_store(urls: Sequence[str]) -> Iterator[bytes | Unreadable]:
    """All bytes of each object, in order, many at a time."""
    # One byte more than allowed tells which objects are too large, without another request.
    contents = storage.read_many((url, 0, MAX_BYTES + 1) for url in urls)
    for url, content in zip(urls, contents, strict=True):
        if isinstance(content, OSError):
            yield Unreadable(cannot_read(content))
        elif len(content) > MAX_BYTES:
            yield Unreadable(too_large(storage.size(url)))
        else:
            yield content


def _read_image(path: str) -> bytes | Unreadable:
    try:
        with storage.open_file(path) as stream:
            return read_whole(stream)
    except OSError as error:
        return Unreadable(cannot_read(error))


def read_whole(stream: BinaryIO) -> bytes | Unreadable:
    """All bytes of an open file.

    Raises:
        OSError: the file cannot be read.
    """
    length = stream.seek(0, os.SEEK_END)
    # The length is checked before the bytes are read into memory.
    if length > MAX_BYTES:
        return Unreadable(too_large(length))
    stream.seek(0)
    return stream.read(length)


def too_large(length: int, what: str = "file") -> Reason:
    """The reason for an image above the size limit."""
    text = f"{what} of {length} bytes is above the limit of {MAX_BYTES}"
    return Reason(ReasonCode.FILE_TOO_LARGE, text)


def cannot_read(error: OSError) -> Reason:
    """The reason for a file that cannot be read; it names no path of this machine."""
    return Reason(ReasonCode.UNREADABLE, f"cannot be read: {error.strerror or one_line(error)}")

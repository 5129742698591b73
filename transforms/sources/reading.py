"""Reads image files, for sources in which each image is a file."""

import os
from typing import BinaryIO

from facemill.transforms import storage
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Unreadable


def read_image(root: str, path: str) -> bytes | Unreadable:
    """All bytes of one file.

    Args:
        root: the input.
        path: path of the file, relative to the input.
    """
    try:
        with storage.open_file(storage.join(root, path)) as stream:
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

"""Reading image files as they lie, for the sources whose images are files of their own."""

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
        path: relative to it.
    """
    try:
        with storage.open_file(storage.join(root, path)) as stream:
            return read_whole(stream)
    except OSError as error:
        return Unreadable(cannot_read(error))


def read_whole(stream: BinaryIO) -> bytes | Unreadable:
    """All bytes of an open file.

    Raises:
        OSError: it cannot be read.
    """
    length = stream.seek(0, os.SEEK_END)
    # The limit holds before the bytes are in memory, not after.
    if length > MAX_BYTES:
        return Unreadable(too_large(length))
    stream.seek(0)
    return stream.read(length)


def too_large(length: int, what: str = "file") -> Reason:
    """The reason of an image above the limit."""
    text = f"{what} of {length} bytes is above the limit of {MAX_BYTES}"
    return Reason(ReasonCode.FILE_TOO_LARGE, text)


def cannot_read(error: OSError) -> Reason:
    """The reason of a file that the system does not give; it names no path of this machine."""
    return Reason(ReasonCode.UNREADABLE, f"cannot be read: {error.strerror or one_line(error)}")

"""Reading image files as they lie, for the sources whose images are files of their own."""

import os

from transforms import storage
from transforms.decode import MAX_BYTES
from transforms.sources.base import Unreadable
from transforms.sources.labels import readable

_LONGEST_REASON = 200


def read_image(root: str, path: str) -> bytes | Unreadable:
    """All bytes of one file.

    Args:
        root: the input.
        path: relative to it.
    """
    try:
        with storage.open_file(storage.join(root, path)) as stream:
            length = stream.seek(0, os.SEEK_END)
            # The limit holds before the bytes are in memory, not after.
            if length > MAX_BYTES:
                return Unreadable(too_large(length))
            stream.seek(0)
            return stream.read(length)
    except OSError as error:
        return Unreadable(cannot_read(error))


def too_large(length: int, what: str = "file") -> str:
    """The reason of an image above the limit."""
    return f"{what} of {length} bytes is above the limit of {MAX_BYTES}"


def cannot_read(error: OSError) -> str:
    """The reason of a file that the system does not give; it names no path of this machine."""
    return f"cannot be read: {error.strerror or one_line(error)}"


def one_line(error: BaseException) -> str:
    """An error's message, short enough for a row."""
    return (" ".join(readable(str(error)).split()) or type(error).__name__)[:_LONGEST_REASON]

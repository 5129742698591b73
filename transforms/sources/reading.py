"""Reading image files as they lie, for the sources whose images are files of their own."""

import os

from transforms import storage
from transforms.decode import MAX_BYTES
from transforms.sources.base import Unreadable


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
                return too_large("file", length)
            stream.seek(0)
            return stream.read(length)
    except OSError as error:
        return unreadable(error)


def too_large(what: str, length: int) -> Unreadable:
    """Refuses what is above the limit."""
    return Unreadable(f"{what} of {length} bytes is above the limit of {MAX_BYTES}")


def unreadable(error: OSError) -> Unreadable:
    """Refuses what the system cannot read."""
    return Unreadable(f"cannot be read: {error.strerror or error}")

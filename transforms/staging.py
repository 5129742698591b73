"""Staging files: what the first reader leaves under the output for the stages after it.

A group-by moves small rows only; thumbnails and JPEGs lie here and are fetched by offset.
"""

import os
import secrets
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from transforms import storage
from transforms.duplicates.hashing import THUMBNAIL_SIDE
from transforms.rows import Staged

_THUMBNAIL_BYTES = THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3


class StagingWriter:
    """One staging file, named at random so that a repeated bundle never meets its first try.

    The name starts with the number of images that its writer was given, so that anyone who sees
    the folder can tell how far the job is, on every engine.
    """

    def __init__(self, folder: str, images: int) -> None:
        os.makedirs(folder, exist_ok=True)
        self._path = os.path.join(folder, f"{images}-{secrets.token_hex(8)}.stage")
        self._stream: BinaryIO = open(self._path, "wb")  # noqa: SIM115 - closed by __exit__
        self._offset = 0

    def __enter__(self) -> "StagingWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def add(self, thumbnail: np.ndarray, encoded: bytes) -> Staged:
        """Appends one image; thumbnail is uint8 [32, 32, 3]."""
        staged = Staged(self._path, self._offset, len(encoded))
        self._stream.write(thumbnail.tobytes())
        self._stream.write(encoded)
        self._offset += _THUMBNAIL_BYTES + len(encoded)
        return staged


def images_staged(folder: str) -> int:
    """How many images the writers of a staging folder were given so far."""
    try:
        return sum(int(name.split("-")[0]) for name in os.listdir(folder))
    except FileNotFoundError:
        return 0


class StagingReader:
    """Fetches from staging files; keeps a bounded number of them open."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._open: dict[str, BinaryIO] = {}

    def __enter__(self) -> "StagingReader":
        return self

    def __exit__(self, *error: object) -> None:
        for stream in self._open.values():
            stream.close()
        self._open.clear()

    def thumbnail(self, staged: Staged) -> np.ndarray:
        """uint8 [32, 32, 3]."""
        data = storage.read_range(self._stream(staged.file), staged.offset, _THUMBNAIL_BYTES)
        return np.frombuffer(data, np.uint8).reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)

    def thumbnails(self, staged: Iterable[Staged]) -> np.ndarray:
        """uint8 [N, 32, 32, 3]."""
        return np.stack([self.thumbnail(one) for one in staged])

    def encoded(self, staged: Staged) -> bytes:
        """The JPEG bytes."""
        start = staged.offset + _THUMBNAIL_BYTES
        return storage.read_range(self._stream(staged.file), start, staged.length)

    def _stream(self, path: str) -> BinaryIO:
        stream = self._open.get(path)
        if stream is None:
            if len(self._open) >= self._limit:
                self._open.pop(next(iter(self._open))).close()
            stream = self._open[path] = open(path, "rb")  # noqa: SIM115 - closed by __exit__
        return stream

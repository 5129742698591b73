"""Where workers write the files of an artifact."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from facemill.transforms import storage


@dataclass(frozen=True)
class OutputFiles:
    """Where the files of an artifact are written before the launcher completes it.

    On a disk this is a scratch folder, from which the launcher moves them into place. On an object
    store a move would be a copy, so they are written under their final names.

    Attributes:
        folder: path or URL of the folder.
        run: on a store, URL of an object that exists as long as the run does; None on a disk, where
            the scratch folder is gone when the run has ended.
    """

    folder: str
    run: str | None = None

    def path(self, name: str) -> str:
        """The path or URL of a file, for reading.

        Args:
            name: relative to the artifact, '/'-separated.
        """
        return storage.join(self.folder, name)

    @contextmanager
    def new_file(self, name: str, buffering: int = -1) -> Iterator[BinaryIO]:
        """Opens a file for writing in a block; it gets its name, complete, when the block ends.

        Args:
            name: relative to the artifact: FILE or FOLDER/FILE; FOLDER is made if it is absent.
            buffering: as for `open`.

        Raises:
            RunError: the run has ended, or this machine does not see the folder.
        """
        path = self.path(name)
        if self.run is not None:
            with storage.write_once(path, self.run) as stream:
                yield stream
            return
        if "/" in name:
            storage.make_folder(os.path.dirname(path))
        with storage.new_file(path, sync=False, buffering=buffering) as stream:
            yield stream

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Writes a file, see `new_file`."""
        with self.new_file(name, io.DEFAULT_BUFFER_SIZE) as stream:
            stream.write(data)

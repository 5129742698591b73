"""Files that hold many images: finding them, and reading ranges of them."""

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import BinaryIO

from transforms.decode import MAX_BYTES
from transforms.errors import UsageError
from transforms.sources import _io as storage
from transforms.sources.base import Ref, Unreadable
from transforms.sources.labels import readable

_LONGEST_REASON = 200


def matching_files(root: str, matches: Callable[[str], bool], what: str) -> list[str]:
    """Relative paths of the files under `root` whose name in lower case matches, sorted.

    Args:
        root: the input.
        matches: told the name without its folders.
        what: the files that are looked for, for the message.

    Raises:
        UsageError: there are none.
    """
    try:
        files = [path for path, _ in storage.list_files(root)]
    except OSError as error:
        raise UsageError(
            f"--input must be a readable directory, got {root} ({error.strerror or error}); "
            "check the path and its permissions."
        ) from None
    # A path that is not UTF-8 cannot travel to a worker: its readable form is not found there,
    # which gives the file its row.
    found = [readable(path) for path in files if matches(path.rpartition("/")[2].lower())]
    if not found:
        raise UsageError(
            f"--input must be a directory that holds {what}, but {root} holds none; "
            "check the path and --format."
        )
    return found


class OpenFile:
    """Opens one file at a time, and keeps it open while the next request is for the same."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._path: str | None = None
        self._stream: BinaryIO | None = None

    def __enter__(self) -> "OpenFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get(self, path: str) -> BinaryIO:
        """The stream of a file, standing anywhere.

        Raises:
            OSError: it cannot be opened.
        """
        if self._stream is None or path != self._path:
            self.close()
            self._stream = storage.open_binary(storage.join(self._root, path))
            self._path = path
        return self._stream

    def close(self) -> None:
        """Closes what is open."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def read_ranges(root: str, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
    """The bytes at each reference's offset, of its length, in the order of `refs`."""
    with OpenFile(root) as file:
        for ref in refs:
            if ref.length > MAX_BYTES:
                yield Unreadable(too_large(ref.length))
                continue
            try:
                stream = file.get(ref.path)
                stream.seek(ref.offset)
                data = stream.read(ref.length)
            except OSError as error:
                yield Unreadable(cannot_read(error))
                continue
            if len(data) == ref.length:
                yield data
            else:
                yield Unreadable(f"the file that holds it ends after {len(data)} of its bytes")


def too_large(length: int) -> str:
    """The reason of an image above the limit."""
    return f"file of {length} bytes is above the limit of {MAX_BYTES}"


def cannot_read(error: OSError) -> str:
    """The reason of a file that the system does not give; it names no path of this machine."""
    return f"cannot be read: {error.strerror or one_line(error)}"


def one_line(error: BaseException) -> str:
    """An error's message, short enough for a row."""
    return (" ".join(readable(str(error)).split()) or type(error).__name__)[:_LONGEST_REASON]

"""Files that hold many images: finding them, and reading ranges of them."""

import abc
import functools
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, ClassVar

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.dataset.ignored_files import SYSTEM_FILE, is_system_file
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.reading import cannot_read, too_large

# Separates path and reason in a task: no path contains this character.
_BEFORE_REASON = "\0"


class ContainerSource(Source):
    """Container files anywhere under the input. Each is one task and holds many images.

    Args:
        root: the input, or one container file.

    Attributes:
        what: how messages call the files, such as "*.tar files".
    """

    what: ClassVar[str]

    def __init__(self, root: str) -> None:
        folder, _, name = root.rpartition("/")
        self._only = name if self.holds_images(name.lower()) and storage.is_file(root) else None
        super().__init__(root if self._only is None else folder or "/")

    @staticmethod
    @abc.abstractmethod
    def holds_images(name: str) -> bool:
        """Whether a file is such a container, judged by its name in lower case without folders."""

    @abc.abstractmethod
    def refs_of(self, path: str) -> Iterator[Ref]:
        """The images of one file, as `refs` yields them."""

    def tasks(self) -> list[str]:
        """The files' relative paths, sorted; with the reason if a file must not be opened."""
        if self._only is not None:
            return [self._only]
        try:
            found = [
                _task(entry.name, entry.reason)
                for entry in storage.list_files(self.root)
                if self.holds_images(entry.name.rpartition("/")[2].lower())
            ]
        except OSError as error:
            raise ParameterError(
                "input",
                self.root,
                must="be a readable directory",
                got=f"{self.root} ({error.strerror or error})",
                do="check the path and its permissions",
            ) from None
        if not found:
            raise ParameterError(
                "input",
                self.root,
                must=f"be a directory that holds {self.what}",
                but=f"{self.root} holds none",
                do="check the path and `format`",
            )
        return found

    def refs(self, task: str) -> Iterator[Ref]:
        """The images of one file."""
        path, *reason = task.split(_BEFORE_REASON)
        if reason:
            yield Ref(path, None, path, reason=Reason(ReasonCode(reason[0]), reason[1]))
        else:
            yield from self.refs_of(path)


def _task(name: str, reason: Reason | None) -> str:
    # macOS writes `._train.tar` beside `train.tar`, which no other tool can read.
    reason = reason or (SYSTEM_FILE if is_system_file(name) else None)
    return _BEFORE_REASON.join((name, reason.code.value, reason)) if reason else name


class OpenFile:
    """Opens one file at a time, and keeps it open while the next request is for the same.

    Args:
        root: the input.
        locate: where to open a file of the input, by its path relative to it; if it is not there.
    """

    def __init__(self, root: str, locate: Callable[[str], str] | None = None) -> None:
        self._locate = locate or functools.partial(storage.join, root)
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
        """The stream of a file, at any position.

        Raises:
            OSError: the file cannot be opened.
        """
        if self._stream is None or path != self._path:
            self.close()
            self._stream = storage.open_file(self._locate(path))
            self._path = path
        return self._stream

    def close(self) -> None:
        """Closes the open file, if any."""
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
                text = f"the file that holds it ends after {len(data)} of its bytes"
                yield Unreadable(Reason(ReasonCode.DAMAGED_RECORD, text))

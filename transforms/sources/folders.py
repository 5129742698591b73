"""Folder per identity: also the layout of LFW, and of CASIA-WebFace with its numbered folders."""

from collections.abc import Iterator, Sequence
from typing import ClassVar
from urllib.parse import quote, unquote

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.dataset.ignored_files import why_ignored
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.guesses import Guess
from facemill.transforms.sources.layout import guesses_of_folders
from facemill.transforms.sources.reading import read_images

NO_FOLDER = Reason(ReasonCode.NO_IDENTITY_FOLDER, "lies in no identity's folder")


class Folders(Source):
    """`IDENTITY/any/depth/photo.jpg`: the folder directly under the input is the identity.

    Every file is listed: its content decides whether it is an image, unless its name says already
    that it was never meant as one. A task is one name directly under the input.
    """

    format: ClassVar[str] = "folders"

    def tasks(self) -> list[str]:
        """Names directly under the input, percent-encoded, folders with "/" at the end."""
        return [encode_name(name) for name in names_in(self.root)]

    def guesses(self, tasks: Sequence[str]) -> list[Guess]:
        """Whether the folders directly under the input look like people."""
        return guesses_of_folders(self.root, [decode_name(task) for task in tasks])

    def refs(self, task: str) -> Iterator[Ref]:
        """A reference for every file at or below one name."""
        for entry in storage.list_files(self.root, decode_name(task)):
            if entry.reason is None and (why := why_ignored(entry.name)):
                yield Ref(entry.name, None, entry.name, reason=why)
            elif task.endswith("/"):
                identity = entry.name.partition("/")[0]
                yield Ref(entry.name, identity, entry.name, reason=entry.reason)
            else:
                yield Ref(entry.name, None, entry.name, reason=entry.reason or NO_FOLDER)

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Each file's bytes."""
        return read_images(self.root, [ref.path for ref in refs])


class Lfw(Folders):
    """Labeled Faces in the Wild: `NAME/NAME_0001.jpg`."""

    format: ClassVar[str] = "lfw"


def names_in(root: str) -> list[str]:
    """Names directly under an input, sorted, folders with "/" at the end.

    Raises:
        UsageError: there is no such input, or nothing in it.
    """
    try:
        names = storage.top_level(root)
    except FileNotFoundError:
        raise ParameterError(
            "input",
            root,
            must="be an existing directory or file",
            but=f"{root} does not exist",
            do="check the path",
        ) from None
    except OSError as error:
        raise ParameterError(
            "input",
            root,
            must="be a readable directory",
            got=f"{root} ({error.strerror})",
            do="check the path and its permissions",
        ) from None
    if not names:
        raise ParameterError(
            "input",
            root,
            must="hold images or files of images",
            but=f"{root} is empty",
            do="check the path",
        )
    return names


def encode_name(name: str) -> str:
    """A listed name, which may be any bytes, as UTF-8 text, which every runner can transport."""
    return quote(name, safe="/ @", errors="surrogateescape")


def decode_name(task: str) -> str:
    """The listed name of an encoded one."""
    return unquote(task, errors="surrogateescape")

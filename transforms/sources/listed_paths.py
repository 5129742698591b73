"""Paths that lists and tables give for images: how they are written, and the files they name."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from facemill.transforms import storage
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.dataset.ignored_files import has_image_extension
from facemill.transforms.sources.base import Unreadable
from facemill.transforms.sources.guesses import Guess, GuessCode
from facemill.transforms.sources.labels import BadValueError, checked_text
from facemill.transforms.sources.reading import cannot_read, read_from_store, read_whole

OUTSIDE = "leads outside the root folder"
# What spreadsheets and scripts leave around a path; other white space may be part of a name.
_BLANKS = " \t\r\n"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass(frozen=True)
class PathForm:
    """How the paths of a list are written, as its first rows show.

    Attributes:
        strip: blanks around a path are no part of it.
        windows: `\\` separates folders, in a path without `/`.
    """

    strip: bool = True
    windows: bool = True

    def apply(self, text: str) -> str:
        """The path that a text of the list means; only one that is named as an image changes."""
        if not has_image_extension(text):
            return text
        text = text.strip(_BLANKS) if self.strip else text
        if self.windows and "\\" in text and "/" not in text and not _DRIVE.match(text):
            return text.replace("\\", "/")
        return text


def form_of(paths: Sequence[str], root: str) -> PathForm:
    """How paths are written: as they are where such a file exists, else for what they can mean.

    Args:
        paths: of the first rows.
        root: the folder that they are relative to.
    """
    padded = next((path for path in paths if PathForm(windows=False).apply(path) != path), None)
    windows = next((path for path in paths if PathForm(strip=False).apply(path) != path), None)
    return PathForm(
        strip=padded is None or not _exists(padded, root),
        windows=windows is None or not _exists(windows, root),
    )


def _exists(path: str, root: str) -> bool:
    if "\0" in path or path.startswith("/") or ".." in path.split("/"):
        return False
    try:
        return storage.exists(storage.join(root, path))
    except (OSError, ValueError):
        return False


def guesses_of_paths(paths: Sequence[str], form: PathForm, root: str, where: str) -> list[Guess]:
    """What was guessed of the paths of the first rows.

    Args:
        paths: as the rows have them.
        form: that was found.
        root: the folder that they are relative to.
        where: the list.
    """
    changed = [path for path in paths if form.apply(path) != path]
    outside = []
    for path in paths:
        try:
            listed_path(path, root, form)
        except BadValueError as error:
            if error.reason.code == ReasonCode.OUTSIDE_ROOT:
                outside.append(path)
    found = []
    if changed:
        taken = [form.apply(path) for path in changed]
        found.append(Guess.of(GuessCode.PATH_FORM, taken, changed, where))
    if outside and len(outside) == len(paths):
        found.append(Guess.of(GuessCode.PATHS_OUTSIDE, (), outside, where))
    return found


def listed_path(value: object, root: str, form: PathForm) -> str:
    """A path in the form of `Ref.path`.

    Args:
        value: the path as the list has it.
        root: the folder that it must lie under.
        form: how it is written.

    Raises:
        BadValueError: the value is no path, or leads outside the root.
    """
    if value is None:
        raise BadValueError("names no path", ReasonCode.BAD_ROW)
    path = form.apply(text_of(value, "path")).removeprefix(f"{root.rstrip('/')}/")
    if not path:
        raise BadValueError("names no path", ReasonCode.BAD_ROW)
    if _DRIVE.match(path):
        text = f"{OUTSIDE}: {path} is a path of Windows; write it relative to that folder"
        raise BadValueError(text, ReasonCode.OUTSIDE_ROOT)
    if path.startswith("/") or "://" in path or ".." in path.split("/"):
        raise BadValueError(f"{OUTSIDE}: {path}", ReasonCode.OUTSIDE_ROOT)
    return posixpath.normpath(path)


def text_of(value: object, what: str) -> str:
    """Returns a value that must be a text without null bytes.

    Raises:
        BadValueError: it is not.
    """
    if not isinstance(value, str):
        text = f"its {what} must be a text, got a {type(value).__name__}"
        raise BadValueError(text, ReasonCode.BAD_ROW)
    checked_text(value, what)
    if "\0" in value:
        raise BadValueError(f"its {what} holds a null byte", ReasonCode.BAD_ROW)
    return value


def read_listed(root: str, path: str, real_root: str | None) -> bytes | Unreadable:
    """The bytes of a file that a list names, which must lie under the root.

    Args:
        root: the folder.
        path: relative to it, as `listed_path` returns it.
        real_root: `storage.real_path(root)`, or None for a store.
    """
    if real_root is None:
        (content,) = read_from_store([storage.join(root, path)])
        return content
    try:
        # Links are resolved first, so that the file that is checked is the file that is opened.
        full = storage.real_path(storage.join(root, path))
        if not storage.lies_under(full, real_root):
            return Unreadable(Reason(ReasonCode.OUTSIDE_ROOT, OUTSIDE))
        if storage.is_special(full):
            # Opening a pipe would block until another process writes to it.
            return Unreadable(Reason(ReasonCode.NOT_A_FILE, "is not a file"))
        with storage.open_file(full) as stream:
            return read_whole(stream)
    except OSError as error:
        return Unreadable(cannot_read(error))

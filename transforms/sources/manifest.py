"""A manifest: a table of image paths with identities, splits, landmarks and attributes."""

import json
import math
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line, readable
from facemill.transforms.dataset.ignored_files import why_ignored
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.sources import tables
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.distinct import Distinct
from facemill.transforms.sources.labels import BadValueError, as_identity, checked_text
from facemill.transforms.sources.reading import cannot_read, read_from_store, read_whole

# Names of columns: the first that is present counts, the others are attributes.
_PATHS = ("path", "file", "image")
_IDENTITIES = ("identity", "label", "person", "name")
_IMAGE_ID = "image_id"
_SPLIT = "split"
_LANDMARKS = "landmarks"
_LANDMARK_COLUMNS = tuple(
    f"{point}_{axis}"
    for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    for axis in "xy"
)
_OUTSIDE = "leads outside the root folder"


class Manifest(Source):
    """The images that a CSV, JSONL or Parquet file lists; image_id is the path under the root.

    Columns: `path` (or `file`, `image`), relative to the root or under it, and '/'-separated;
    `identity` (or `label`, `person`, `name`); `split`, one of train, val and test; `landmarks`,
    ten numbers as a list or as JSON text, or a column for each, `left_eye_x` to `right_mouth_y`,
    in the order of `Ref.landmarks`; `image_id`, the key of the row instead of the path. All but the
    path may be absent or empty. Every other column is an attribute.

    A path that repeats is refused, since it is most often a mistake, unless its row has an
    image_id: so each face of a group photo can have a row.

    The image_id of a row that cannot be used is its position: `faces.csv/line 17`.

    Args:
        path: path of the manifest.
        root: the folder that the paths are relative to and must stay under; None for the folder of
            the manifest.
    """

    format = "manifest"
    identities = f"a column {', '.join(_IDENTITIES[:-1])} or {_IDENTITIES[-1]}"

    def __init__(self, path: str, root: str | None = None) -> None:
        folder, _, name = path.rpartition("/")
        super().__init__(root if root is not None else folder or ("/" if "/" in path else "."))
        self.path = path
        self._name = readable(name)

    def tasks(self) -> list[str]:
        """The manifest as one task: only reading all rows in order finds a path that repeats.

        Raises:
            UsageError: the manifest cannot be read or has no column of paths.
        """
        if not self.path.lower().endswith(tables.SUFFIXES):
            raise ParameterError(
                "input",
                self.path,
                must=f"be a manifest that ends in {', '.join(tables.SUFFIXES)}",
                do="name such a file",
            )
        try:
            names = tables.columns(self.path)
        except OSError as error:
            raise ParameterError(
                "input",
                self.path,
                must="be a readable manifest",
                got=f"{self.path} ({error.strerror or one_line(error)})",
                do="check the path",
            ) from None
        except tables.TableError as error:
            raise ParameterError(
                "input",
                self.path,
                must="be a manifest in UTF-8",
                but=f"{self.path} {error}",
                do="correct it",
            ) from None
        if not any(name in _PATHS for name in names):
            got = ", ".join(readable(name) for name in names)
            raise ParameterError(
                "input",
                self.path,
                must=f"be a manifest with a column {', '.join(_PATHS[:-1])} or {_PATHS[-1]}",
                but=f"{self.path} has {got}",
                do="add one",
            )
        return [self._name]

    def attributes(self) -> Sequence[str] | None:
        """The columns without another meaning; None for JSONL, where each row may have others."""
        if self.path.lower().endswith(".jsonl"):
            return None
        row = dict.fromkeys(tables.columns(self.path))
        for names in (_PATHS, _IDENTITIES):
            _take(row, names)
        others = {"", _IMAGE_ID, _SPLIT, _LANDMARKS, *_LANDMARK_COLUMNS}
        return sorted(row.keys() - others)

    def refs(self, task: str) -> Iterator[Ref]:
        """The rows in order; memory holds only a hash of each path of the manifest."""
        used = Distinct()
        for position, row in tables.rows(self.path):
            name = f"{task}/{position}" if position else task
            if isinstance(row, Reason):
                yield Ref(used.claim(name), None, task, reason=row)
            else:
                yield self._ref(task, name, row, used)

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Reads each file after checking that it lies under the root."""
        if storage.is_remote(self.root):
            yield from read_from_store([storage.join(self.root, ref.path) for ref in refs])
            return
        real_root = storage.real_path(self.root)
        for ref in refs:
            try:
                yield self._read(ref.path, real_root)
            except OSError as error:
                yield Unreadable(cannot_read(error))

    def _read(self, path: str, real_root: str) -> bytes | Unreadable:
        # Links are resolved first, so that the file that is checked is the file that is opened.
        full = storage.real_path(storage.join(self.root, path))
        if not storage.lies_under(full, real_root):
            return Unreadable(Reason(ReasonCode.OUTSIDE_ROOT, _OUTSIDE))
        if storage.is_special(full):
            # Opening a pipe would block until another process writes to it.
            return Unreadable(Reason(ReasonCode.NOT_A_FILE, "is not a file"))
        with storage.open_file(full) as stream:
            return read_whole(stream)

    def _ref(self, task: str, name: str, row: tables.Row, used: Distinct) -> Ref:
        try:
            path = _path(_take(row, _PATHS), self.root)
        except BadValueError as error:
            return Ref(used.claim(name), None, task, reason=error.reason)
        what, key = "path", path
        reason: Reason | None = None
        try:
            given = row.pop(_IMAGE_ID, None)
            if given is not None:
                what, key = _IMAGE_ID, _text_of(given, _IMAGE_ID)
        except BadValueError as error:
            reason = error.reason
        image_id = key if not reason and used.add(key) else used.claim(name)
        if not reason and image_id != key:
            text = f"its {what} comes on an earlier row already: {key}"
            reason = Reason(ReasonCode.REPEATED_KEY, text)
        # Some lists name all files of a folder.
        why = None if reason else why_ignored(path)
        if why:
            return Ref(image_id, None, path, reason=why)
        identity = split = landmarks = None
        attributes: tuple[tuple[str, str], ...] = ()
        try:
            identity = as_identity(_take(row, _IDENTITIES), "identity")
            split = _split(row.pop(_SPLIT, None))
            landmarks = _landmarks(row)
            attributes = _attributes(row)
        except BadValueError as error:
            reason = reason or error.reason
        return Ref(
            image_id,
            identity,
            path,
            reason=reason,
            split=split,
            landmarks=landmarks,
            attributes=attributes,
        )


def _take(row: tables.Row, names: Sequence[str]) -> Any:
    """Removes the first of some columns that the row has and returns its value, even a null."""
    for name in names:
        if name in row:
            return row.pop(name)
    return None


def _path(value: object, root: str) -> str:
    """A path in the form of `Ref.path`.

    Args:
        value: the path as the manifest has it.
        root: the folder that it must lie under.

    Raises:
        BadValueError: the value is no path, or leads outside the root.
    """
    if value is None:
        raise BadValueError("names no path", ReasonCode.BAD_ROW)
    value = _text_of(value, "path").removeprefix(f"{root.rstrip('/')}/")
    if value.startswith("/") or "://" in value or ".." in value.split("/"):
        raise BadValueError(f"{_OUTSIDE}: {value}", ReasonCode.OUTSIDE_ROOT)
    return posixpath.normpath(value)


def _text_of(value: object, what: str) -> str:
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


def _split(value: object) -> str | None:
    if value is None or value in SPLITS:
        return value if isinstance(value, str) else None
    text = f"its split must be {', '.join(SPLITS)} or nothing, got {_short(value)}"
    raise BadValueError(text, ReasonCode.BAD_ROW)


def _landmarks(row: tables.Row) -> tuple[float, ...] | None:
    value = row.pop(_LANDMARKS, None)
    columns = [row.pop(name, None) for name in _LANDMARK_COLUMNS]
    if value is None:
        if all(number is None for number in columns):
            return None
        value = columns
    try:
        numbers = [_number(one) for one in (json.loads(value) if isinstance(value, str) else value)]
    except (TypeError, ValueError, OverflowError, RecursionError):
        numbers = []
    if len(numbers) != len(_LANDMARK_COLUMNS) or not all(map(math.isfinite, numbers)):
        raise BadValueError(
            f"its landmarks must be {len(_LANDMARK_COLUMNS)} finite numbers, got {_short(value)}",
            ReasonCode.BAD_ROW,
        )
    return tuple(numbers)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("not a number")
    return float(value)


def _attributes(row: tables.Row) -> tuple[tuple[str, str], ...]:
    present = ((name, value) for name, value in row.items() if value is not None)
    return tuple(sorted((_text(name), _text(value)) for name, value in present))


def _text(value: object) -> str:
    """An attribute as text: numbers by their digits, lists and objects as JSON."""
    if isinstance(value, int | float | list | dict):
        value = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return checked_text(str(value), "attribute")


def _short(value: object) -> str:
    return one_line(ValueError(value))

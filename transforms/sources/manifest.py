"""A manifest: a table of image paths with identities, splits, landmarks and attributes."""

import json
import math
import posixpath
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line, readable
from facemill.transforms.dataset.ignored_files import why_ignored
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.sources import tables
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.columns import (
    IDENTITIES,
    PATHS,
    PEEKED,
    USUAL_IDENTITIES,
    USUAL_PATHS,
    choose_label,
    present,
)
from facemill.transforms.sources.distinct import Distinct
from facemill.transforms.sources.guesses import Guess, GuessCode
from facemill.transforms.sources.labels import BadValueError, as_identity, checked_text
from facemill.transforms.sources.listed_paths import (
    PathForm,
    form_of,
    guesses_of_paths,
    listed_path,
    read_listed,
    text_of,
)
from facemill.transforms.sources.reading import read_from_store

_IMAGE_ID = "image_id"
_SPLIT = "split"
_LANDMARKS = "landmarks"
_LANDMARK_COLUMNS = tuple(
    f"{point}_{axis}"
    for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    for axis in "xy"
)


class Manifest(Source):
    """The images that a table or a text file lists; image_id is the path under the root.

    Columns: `path` (or another of `columns.PATHS`), relative to the root or under it; `identity`
    (or another of `columns.IDENTITIES`); `split`, one of train, val and test; `landmarks`, ten
    numbers as a list or as JSON text, or a column for each, `left_eye_x` to `right_mouth_y`, in the
    order of `Ref.landmarks`; `image_id`, the key of the row instead of the path. All but the path
    may be absent or empty. Every other column is an attribute.

    A text file without a header and with paths alone names identities by the folders in the paths,
    as VGGFace2's lists do.

    A path that repeats is refused, since it is most often a mistake, unless its row has an
    image_id: so each face of a group photo can have a row.

    The image_id of a row that cannot be used is its position: `faces.csv/line 17`.

    Args:
        path: path of the manifest.
        root: the folder that the paths are relative to and must stay under; None for the folder of
            the manifest.
        image_column: the column of paths, or None for the first of PATHS.
        label_column: the column of identities, or None for the first of `columns.IDENTITIES` that
            does not name files.
        key: the column of the image_ids, or None for `image_id`.
    """

    format = "manifest"
    identities = (
        f"a column {', '.join(USUAL_IDENTITIES[:-1])} or {USUAL_IDENTITIES[-1]}, or the one of "
        "`label_column`"
    )

    def __init__(
        self,
        path: str,
        root: str | None = None,
        image_column: str | None = None,
        label_column: str | None = None,
        key: str | None = None,
    ) -> None:
        folder, _, name = path.rpartition("/")
        super().__init__(root if root is not None else folder or ("/" if "/" in path else "."))
        self.path = path
        self.image_column, self.label_column = image_column, label_column
        self._name = readable(name)
        self._paths: tuple[str, ...] = PATHS if image_column is None else (image_column,)
        self._labels: tuple[str, ...] = IDENTITIES if label_column is None else (label_column,)
        self._key = key or _IMAGE_ID
        self._form = PathForm()
        self._by_folder = False
        self._guesses: list[Guess] = []

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
        self._choose(names)
        return [self._name]

    def _choose(self, names: Sequence[str]) -> None:
        """Decides on columns and on the form of paths, by the names and the first rows.

        Raises:
            UsageError: there is no such column.
        """
        paths = present(names, PATHS) if self.image_column is None else [self.image_column]
        if not paths or paths[0] not in names:
            wanted = self.image_column or f"{', '.join(USUAL_PATHS[:-1])} or {USUAL_PATHS[-1]}"
            got = ", ".join(readable(name) for name in names)
            raise ParameterError(
                "input",
                self.path,
                must=f"be a manifest with a column {wanted}",
                but=f"{self.path} has {got}",
                do="add one, or name the column of paths by `image_column`",
            )
        for column in (self.label_column, self._key):
            if column not in (None, _IMAGE_ID, *names) and not self._is_jsonl:
                raise ParameterError(
                    "label_column" if column == self.label_column else "key",
                    column,
                    must=f"be a column of {self.path}",
                    got=f"{column}, but it has {', '.join(readable(name) for name in names)}",
                    do="name one of these",
                )
        # Rows of JSONL may have different columns, of which the usual ones count then too.
        self._paths = tuple(dict.fromkeys((*paths, *self._paths)))
        rows = (row for _, row in islice(tables.rows(self.path), PEEKED))
        found = [row for row in rows if not isinstance(row, Reason)]
        self._guesses = []
        if self.image_column is None and (paths[1:] or paths[0].lower() not in USUAL_PATHS):
            self._note(GuessCode.IMAGE_COLUMN, paths[:1], paths[1:])
        texts = [text for row in found if isinstance(text := _peek(row, self._paths), str)]
        self._form = form_of(texts, self.root)
        self._guesses += guesses_of_paths(texts, self._form, self.root, self._name)
        if self.label_column is not None:
            return
        if list(names) == [tables.PATH] and self.path.lower().endswith(".txt"):
            self._by_folder = True
            self._note(GuessCode.IDENTITY_FROM_FOLDER, [])
            return
        known = (paths[0], self._key, _SPLIT, _LANDMARKS, *_LANDMARK_COLUMNS, "")
        others = [name for name in names if name not in known]
        sample = {name: [row.get(name) for row in found] for name in others}
        label = choose_label(others, sample, self._name)
        self._guesses += label.guesses
        files = {name.lower() for name in label.names_files}
        usual = [name for name in IDENTITIES if name not in files]
        self._labels = tuple(dict.fromkeys((*present(others, usual), *usual)))

    def _note(self, code: GuessCode, taken: Sequence[str], passed_over: Sequence[str] = ()) -> None:
        self._guesses.append(Guess.of(code, taken, passed_over, self._name))

    @property
    def _is_jsonl(self) -> bool:
        return self.path.lower().endswith(".jsonl")

    def guesses(self, tasks: Sequence[str]) -> list[Guess]:
        """Of the columns, and of how paths are written."""
        del tasks
        return self._guesses

    def attributes(self) -> Sequence[str] | None:
        """The columns without another meaning; None for JSONL, where each row may have others."""
        if self._is_jsonl:
            return None
        row = dict.fromkeys(tables.columns(self.path))
        for names in (self._paths, self._labels):
            _take(row, names)
        others = {"", self._key, _SPLIT, _LANDMARKS, *_LANDMARK_COLUMNS}
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
        yield from (read_listed(self.root, ref.path, real_root) for ref in refs)

    def _ref(self, task: str, name: str, row: tables.Row, used: Distinct) -> Ref:
        try:
            path = listed_path(_take(row, self._paths), self.root, self._form)
        except BadValueError as error:
            return Ref(used.claim(name), None, task, reason=error.reason)
        what, key = "path", path
        reason: Reason | None = None
        try:
            given = row.pop(self._key, None)
            if given is not None:
                what, key = self._key, _key(given, self._key)
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
            identity = as_identity(_take(row, self._labels), "identity")
            if self._by_folder:
                identity = posixpath.basename(posixpath.dirname(path)) or None
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


def _peek(row: tables.Row, names: Sequence[str]) -> Any:
    return next((row[name] for name in names if name in row), None)


def _key(value: object, what: str) -> str:
    """An image_id: a text; in a column that a person named also a whole number, by its digits."""
    number = what != _IMAGE_ID and isinstance(value, int) and not isinstance(value, bool)
    return text_of(str(value) if number else value, what)


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

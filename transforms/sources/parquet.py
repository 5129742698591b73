"""Parquet tables with a column of encoded images, the layout of image datasets on Hugging Face."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.core.text import readable
from facemill.transforms.sources.arrow import ARROW_ERRORS, is_binary, is_text, open_table
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.columns import (
    IDENTITIES,
    PATHS,
    PEEKED,
    USUAL_IDENTITIES,
    choose_label,
    present,
)
from facemill.transforms.sources.containers import ContainerSource, OpenFile
from facemill.transforms.sources.distinct import Distinct
from facemill.transforms.sources.guesses import Guess, GuessCode
from facemill.transforms.sources.labels import BadValueError, as_identity, label_text
from facemill.transforms.sources.listed_paths import (
    PathForm,
    form_of,
    guesses_of_paths,
    listed_path,
    read_listed,
)
from facemill.transforms.sources.parquet_rows import Rows, bytes_or_path, damage

_IMAGES = ("image", "img", "jpg", "jpeg", "png", "bytes")
_ROWS_PER_BATCH = 4096
# How many columns a message names.
_NAMED = 12


class ParquetTables(ContainerSource):
    """Parquet files anywhere under the input; image_id is `<file>/<row>`, rows from 0 on.

    An image is a binary value, or a struct of `bytes` and `path`. Where it has no bytes, or is a
    text, its path is read under `images_root`. The identity is a text or a whole number; if the
    schema's metadata has a Hugging Face ClassLabel, a number is an index in its names, and -1 is no
    identity.

    To reach a row, Arrow decodes all rows before it in its row group, one at a time. So `read`
    moves forward where it can, and is fastest with row groups of a few hundred images.

    Args:
        root: the input.
        image_column: name of the column of images, or None for the first of binary values or
            structs called image, img, jpg, jpeg, png or bytes, else the first struct with bytes,
            else the only binary column, else one of texts that is called so.
        label_column: name of the column of identities, or None for the first of
            `columns.IDENTITIES` that is present and does not name files; without one the images
            have no identity.
        key: name of the column whose values are the last part of image_ids, or None for the number
            of the row.
        images_root: the folder that paths are relative to and must stay under; None for `root`.
    """

    format = "parquet"
    identities = (
        f"a column {', '.join(USUAL_IDENTITIES[:-1])} or {USUAL_IDENTITIES[-1]}, or the one of "
        "`label_column`"
    )
    what = "*.parquet files"

    def __init__(
        self,
        root: str,
        image_column: str | None = None,
        label_column: str | None = None,
        key: str | None = None,
        images_root: str | None = None,
    ) -> None:
        super().__init__(root)
        self.image_column = image_column
        self.label_column = label_column
        self.key = key
        self.images_root = images_root or self.root
        self._labels: tuple[str, ...] = IDENTITIES
        self._form = PathForm()
        self._guesses: list[Guess] = []

    @staticmethod
    def holds_images(name: str) -> bool:
        """Whether the suffix is `.parquet`."""
        return name.endswith(".parquet")

    def tasks(self) -> list[str]:
        """The files.

        Raises:
            UsageError: there are no files, or the first one lacks a column.
        """
        found = super().tasks()
        try:
            with storage.open_file(storage.join(self.root, found[0])) as stream:
                table = open_table(stream)
                schema = table.schema_arrow
                self._choose(table, found[0])
        except BadValueError as error:
            names = ", ".join(readable(name) for name in schema.names[:_NAMED]) or "none"
            raise ParameterError(
                "input",
                self.root,
                must="hold tables of images",
                but=f"{found[0]} {error} among {names}",
                do="name them by `image_column`, `label_column` and `key`, or check `format`",
            ) from None
        except ARROW_ERRORS:
            # `refs` lists a damaged file with a reason.
            pass
        return found

    def guesses(self, tasks: Sequence[str]) -> list[Guess]:
        """Of the columns of the first file."""
        del tasks
        return self._guesses

    def _choose(self, table: Any, where: str) -> None:
        """Decides what to guess by, from the first rows of the first file.

        Raises:
            BadValueError: the file lacks a column.
            one of ARROW_ERRORS: the file is damaged.
        """
        schema = table.schema_arrow
        columns = self._columns(schema)
        self._guesses = []
        if self.image_column is None:
            others = [
                str(field.name)
                for field in schema
                if field.name != columns.name and (_is_struct(field.type) or is_binary(field.type))
            ]
            if others:
                guess = Guess.of(GuessCode.IMAGE_COLUMN, [columns.name], others, where)
                self._guesses.append(guess)
        if self.label_column is None:
            names = [name for name in _label_names(schema) if name not in (columns.name, self.key)]
            likely = present(names, IDENTITIES)
            label = choose_label(names, _first_values(table, likely), where)
            self._guesses += label.guesses
            files = {name.lower() for name in label.names_files}
            self._labels = tuple(one for one in IDENTITIES if one not in files)
        paths = _first_paths(table, columns)
        if paths:
            self._form = form_of(paths, self.images_root)
            self._guesses.append(Guess.of(GuessCode.PATHS_FOR_BYTES, [columns.name], paths, where))
            self._guesses += guesses_of_paths(paths, self._form, self.images_root, where)

    def refs_of(self, path: str) -> Iterator[Ref]:
        """The rows of one file; it reads only the columns of labels and keys."""
        row = 0
        used = Distinct()
        try:
            with storage.open_file(storage.join(self.root, path)) as stream:
                table = open_table(stream)
                columns = self._columns(table.schema_arrow)
                for value, key in _values(table, columns.label, self.key):
                    yield _ref(path, row, value, columns.names, key, used)
                    row += 1
        except BadValueError as error:
            yield Ref(path, None, path, reason=error.reason)
        except ARROW_ERRORS as error:
            where = f", from row {row} on" if row else ""
            reason = damage(error)
            yield Ref(path, None, path, reason=reason.with_text(reason + where))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Reads the image column of the row groups that hold the rows, one row at a time."""
        remote = storage.is_remote(self.images_root)
        real_root = None if remote else storage.real_path(self.images_root)
        with OpenFile(self.root) as file:
            rows: Rows | None = None
            for ref in refs:
                try:
                    if rows is None or rows.path != ref.path:
                        rows = None
                        rows = Rows(ref.path, file.get(ref.path), self._leaves)
                    image = rows.image(ref.offset)
                    if isinstance(image, str):
                        path = listed_path(image, self.images_root, self._form)
                        image = _in_words(read_listed(self.images_root, path, real_root))
                    yield image
                except BadValueError as error:
                    yield Unreadable(error.reason)
                except ARROW_ERRORS as error:
                    yield Unreadable(damage(error))

    def _leaves(self, schema: Any) -> list[str]:
        return self._columns(schema).leaves

    def _columns(self, schema: Any) -> "_Columns":
        image = self.image_column or _guess_image(schema)
        if image is None or image not in schema.names:
            text = f"has no column of images{f' {image}' if image else ''}"
            raise BadValueError(text, ReasonCode.UNSUPPORTED_TABLE)
        kind = schema.field(image).type
        if not (is_binary(kind) or _is_struct(kind) or is_text(kind)):
            text = f"has a column {image} of {kind}, not of encoded images"
            raise BadValueError(text, ReasonCode.UNSUPPORTED_TABLE)
        label = self.label_column or next(iter(present(_label_names(schema), self._labels)), None)
        for name, what in ((label, "labels"), (self.key, "keys")):
            if name is not None and name not in schema.names:
                text = f"has no column {name} of {what}"
                raise BadValueError(text, ReasonCode.UNSUPPORTED_TABLE)
        leaves = [image]
        if _is_struct(kind):
            parts = {kind.field(index).name for index in range(kind.num_fields)}
            leaves = [f"{image}.{part}" for part in ("bytes", "path") if part in parts]
        return _Columns(image, leaves, label, _class_names(schema.metadata, label))


@dataclass(frozen=True)
class _Columns:
    """The columns to read from one file.

    Attributes:
        name: of the column of images.
        leaves: paths of the leaf columns that hold the bytes or the path of an image.
        label: name of the label column, or None.
        names: class names, indexed by the label; or empty.
    """

    name: str
    leaves: list[str]
    label: str | None
    names: list[str]


def _in_words(image: bytes | Unreadable) -> bytes | Unreadable:
    """What was read by the path of a row; a failure says that the path was needed."""
    if isinstance(image, bytes):
        return image
    text = f"its row holds no bytes, and the file of its path {image.reason}"
    return Unreadable(image.reason.with_text(text))


def _values(table: Any, label: str | None, key: str | None) -> Iterator[tuple[object, object]]:
    """Label and key of each row; None without such a column."""
    columns = list(dict.fromkeys(name for name in (label, key) if name is not None))
    if not columns:
        for _ in range(table.metadata.num_rows):
            yield None, None
        return
    batches = table.iter_batches(batch_size=_ROWS_PER_BATCH, columns=columns, use_threads=False)
    for batch in batches:
        found = {name: batch.column(name) for name in columns}
        for row in range(batch.num_rows):
            one, other = (None if n is None else _value(found[n][row]) for n in (label, key))
            yield one, other


def _value(scalar: Any) -> object:
    try:
        return scalar.as_py()
    except ValueError:
        # Arrow does not check that texts are UTF-8 when it reads them: return invalid bytes.
        return b"\xff"


def _ref(path: str, row: int, value: object, names: list[str], key: object, used: Distinct) -> Ref:
    identity, reason, name = None, None, str(row)
    try:
        if key is not None:
            name = used.claim(label_text(key, "key") or name)
        identity = _named(value, names) if names else as_identity(value)
    except BadValueError as error:
        reason = error.reason
    return Ref(f"{path}/{name}", identity, path, offset=row, reason=reason)


def _named(value: object, names: list[str]) -> str | None:
    if isinstance(value, str):
        return as_identity(value)
    number = as_identity(value)
    if number is None or number == "-1":
        return None
    if not number.isdecimal() or int(number) >= len(names):
        raise BadValueError(f"its label {number} is not one of the {len(names)} classes")
    return as_identity(names[int(number)])


def _guess_image(schema: Any) -> str | None:
    structs = [str(field.name) for field in schema if _is_struct(field.type)]
    binary = [str(field.name) for field in schema if is_binary(field.type)]
    texts = [str(field.name) for field in schema if is_text(field.type)]
    only = binary if len(binary) == 1 else []
    for found in (present([*structs, *binary], _IMAGES), structs, only, present(texts, PATHS)):
        if found:
            return found[0]
    return None


def _is_struct(kind: Any) -> bool:
    """Whether values hold the bytes of an image, or its path where a writer left all bytes out."""
    if not pa.types.is_struct(kind):
        return False
    index = kind.get_field_index("bytes")
    if index < 0:
        return False
    return is_binary(kind.field(index).type) or (
        pa.types.is_null(kind.field(index).type) and kind.get_field_index("path") >= 0
    )


def _label_names(schema: Any) -> list[str]:
    """The columns that can hold a label."""
    usual = present(schema.names, IDENTITIES)
    return [
        str(field.name)
        for field in schema
        if field.name in usual or not (pa.types.is_nested(field.type) or is_binary(field.type))
    ]


def _first_values(table: Any, columns: list[str]) -> dict[str, list[object]]:
    """The values of the first rows of some columns."""
    if not columns:
        return {}
    batch = next(table.iter_batches(batch_size=PEEKED, columns=columns, use_threads=False), None)
    if batch is None:
        return {}
    return {name: [_value(scalar) for scalar in batch.column(name)] for name in columns}


def _first_paths(table: Any, columns: _Columns) -> list[str]:
    """The paths that stand for images in the first rows; [] if the first row has bytes."""
    found: list[str] = []
    # A batch of one row bounds memory to the largest image.
    batches = table.iter_batches(batch_size=1, columns=columns.leaves, use_threads=False)
    for batch in islice(batches, PEEKED):
        image = bytes_or_path(batch.column(0))
        if isinstance(image, bytes):
            break
        if isinstance(image, str):
            found.append(image)
    return found


def _class_names(metadata: dict[bytes, bytes] | None, label: str | None) -> list[str]:
    """The names of a Hugging Face ClassLabel; empty if the label column is none."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        feature = features[label]
        names = feature["names"] if feature["_type"] == "ClassLabel" else []
    except (KeyError, TypeError, ValueError, RecursionError):
        return []
    return names if isinstance(names, list) and all(isinstance(n, str) for n in names) else []

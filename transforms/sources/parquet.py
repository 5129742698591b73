"""Parquet tables with a column of encoded images, the layout of image datasets on Hugging Face."""

import bisect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line, readable
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.arrow import ARROW_ERRORS, is_binary, open_table
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.containers import ContainerSource, OpenFile
from facemill.transforms.sources.labels import BadValueError, as_identity
from facemill.transforms.sources.reading import cannot_read, too_large

_IMAGES = ("image", "img", "jpg", "jpeg", "png", "bytes")
_LABELS = ("identity", "label", "person", "name")
_ROWS_PER_BATCH = 4096
# How many columns a message names.
_NAMED = 12


class ParquetTables(ContainerSource):
    """Parquet files anywhere under the input; image_id is `<file>/<row>`, rows from 0 on.

    An image is a binary value, or a struct of `bytes` and `path`, whose path is ignored. The
    identity is a text or a whole number; if the schema's metadata has a Hugging Face ClassLabel, a
    number is an index in its names, and -1 is no identity.

    To reach a row, Arrow decodes all rows before it in its row group, one at a time. So `read`
    moves forward where it can, and is fastest with row groups of a few hundred images.

    Args:
        root: the input.
        image_column: name of the column of images, or None for the first struct with bytes, else
            the first binary column called image, img, jpg, jpeg, png or bytes, else the only binary
            column.
        label_column: name of the column of identities, or None for the first of identity, label,
            person and name that is present; without one the images have no identity.
    """

    format = "parquet"
    identities = (
        f"a column {', '.join(_LABELS[:-1])} or {_LABELS[-1]}, or the one of `label_column`"
    )
    what = "*.parquet files"

    def __init__(
        self, root: str, image_column: str | None = None, label_column: str | None = None
    ) -> None:
        super().__init__(root)
        self.image_column = image_column
        self.label_column = label_column

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
                schema = open_table(stream).schema_arrow
                self._columns(schema)
        except BadValueError as error:
            names = ", ".join(readable(name) for name in schema.names[:_NAMED]) or "none"
            raise ParameterError(
                "input",
                self.root,
                must="hold tables of images",
                but=f"{found[0]} {error} among {names}",
                do="name them by `image_column` and `label_column`, or check `format`",
            ) from None
        except ARROW_ERRORS:
            # `refs` lists a damaged file with a reason.
            pass
        return found

    def refs_of(self, path: str) -> Iterator[Ref]:
        """The rows of one file; it reads only the label column."""
        row = 0
        try:
            with storage.open_file(storage.join(self.root, path)) as stream:
                table = open_table(stream)
                columns = self._columns(table.schema_arrow)
                for value in _labels(table, columns.label):
                    yield _ref(path, row, value, columns.names)
                    row += 1
        except BadValueError as error:
            yield Ref(path, None, path, reason=error.reason)
        except ARROW_ERRORS as error:
            where = f", from row {row} on" if row else ""
            reason = _reason(error)
            yield Ref(path, None, path, reason=reason.with_text(reason + where))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Reads the image column of the row groups that hold the rows, one row at a time."""
        with OpenFile(self.root) as file:
            rows: _Rows | None = None
            for ref in refs:
                try:
                    if rows is None or rows.path != ref.path:
                        rows = None
                        rows = _Rows(ref.path, file.get(ref.path), self._columns)
                    yield rows.image(ref.offset)
                except BadValueError as error:
                    yield Unreadable(error.reason)
                except ARROW_ERRORS as error:
                    yield Unreadable(_reason(error))

    def _columns(self, schema: Any) -> "_Columns":
        image = self.image_column or _guess_image(schema)
        if image is None or image not in schema.names:
            text = f"has no column of images{f' {image}' if image else ''}"
            raise BadValueError(text, ReasonCode.UNSUPPORTED_TABLE)
        field = schema.field(image)
        if not is_binary(field.type) and not _is_struct(field.type):
            text = f"has a column {image} of {field.type}, not of encoded images"
            raise BadValueError(text, ReasonCode.UNSUPPORTED_TABLE)
        label = self.label_column or next((n for n in _LABELS if n in schema.names), None)
        if label is not None and label not in schema.names:
            text = f"has no column {label} of labels"
            raise BadValueError(text, ReasonCode.UNSUPPORTED_TABLE)
        names = _class_names(schema.metadata, label)
        leaf = f"{image}.bytes" if _is_struct(field.type) else image
        return _Columns(leaf, label, names)


@dataclass(frozen=True)
class _Columns:
    """The columns to read from one file.

    Attributes:
        image: path of the leaf column that holds the bytes.
        label: name of the label column, or None.
        names: class names, indexed by the label; or empty.
    """

    image: str
    label: str | None
    names: list[str]


class _Rows:
    """Images of one file by row; it continues within a row group instead of starting it anew."""

    def __init__(self, path: str, stream: BinaryIO, columns: Any) -> None:
        self.path = path
        self._table = open_table(stream)
        self._column = columns(self._table.schema_arrow).image
        counts = self._table.metadata
        self._ends: list[int] = []
        total = 0
        for group in range(counts.num_row_groups):
            total += counts.row_group(group).num_rows
            self._ends.append(total)
        self._group = -1
        self._next = 0
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._damage: Reason | None = None

    def image(self, row: int) -> bytes | Unreadable:
        """The image of a row.

        Raises:
            BadValueError: the file has no such row.
            one of ARROW_ERRORS: the file is damaged.
        """
        group = bisect.bisect_right(self._ends, row)
        if group == len(self._ends):
            text = f"its file has no row {row} anymore"
            raise BadValueError(text, ReasonCode.CHANGED_DURING_RUN)
        if group != self._group or row < self._next:
            self._start(group)
        while self._next <= row:
            # No row of the group can be read after a damaged one, so it is not tried again.
            if self._damage is None:
                self._step()
            if self._damage is not None:
                raise BadValueError(self._damage, self._damage.code)
        return _bytes_of(self._batch.column(0))

    def _step(self) -> None:
        try:
            self._batch = next(self._batches)
            self._next += 1
        except StopIteration:
            text = f"damaged table: a row group ends before row {self._next}"
            self._damage = Reason(ReasonCode.DAMAGED_CONTAINER, text)
        except ARROW_ERRORS as error:
            self._damage = _reason(error)

    def _start(self, group: int) -> None:
        self._group = group
        self._damage = None
        self._next = self._ends[group - 1] if group else 0
        # A batch of one row costs some 20 us and bounds memory to the largest image.
        self._batches = self._table.iter_batches(
            batch_size=1, row_groups=[group], columns=[self._column], use_threads=False
        )


def _reason(error: Exception) -> Reason:
    # Arrow reports damage as OSError too, but only errors of the system have an errno.
    if isinstance(error, OSError) and error.errno is not None:
        return cannot_read(error)
    return Reason(ReasonCode.DAMAGED_CONTAINER, f"damaged table: {one_line(error)}")


def _bytes_of(column: Any) -> bytes | Unreadable:
    if pa.types.is_struct(column.type):
        # A null struct may have bytes below it; `flatten` makes them null.
        (column,) = column.flatten()
    buffer = column[0].as_buffer() if column[0].is_valid else None
    if buffer is None:
        return Unreadable(Reason(ReasonCode.NO_IMAGE_IN_RECORD, "its row holds no image"))
    if buffer.size > MAX_BYTES:
        return Unreadable(too_large(buffer.size))
    return bytes(buffer)


def _labels(table: Any, column: str | None) -> Iterator[object]:
    if column is None:
        for _ in range(table.metadata.num_rows):
            yield None
        return
    batches = table.iter_batches(batch_size=_ROWS_PER_BATCH, columns=[column], use_threads=False)
    for batch in batches:
        for scalar in batch.column(0):
            try:
                yield scalar.as_py()
            except ValueError:
                # Arrow does not check that texts are UTF-8 when it reads them: yield invalid bytes.
                yield b"\xff"


def _ref(path: str, row: int, value: object, names: list[str]) -> Ref:
    identity, reason = None, None
    try:
        identity = _named(value, names) if names else as_identity(value)
    except BadValueError as error:
        reason = error.reason
    return Ref(f"{path}/{row}", identity, path, offset=row, reason=reason)


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
    for field in schema:
        if _is_struct(field.type):
            return str(field.name)
    binary = [str(field.name) for field in schema if is_binary(field.type)]
    for name in _IMAGES:
        if name in binary:
            return name
    return binary[0] if len(binary) == 1 else None


def _is_struct(kind: Any) -> bool:
    if not pa.types.is_struct(kind):
        return False
    index = kind.get_field_index("bytes")
    return index >= 0 and is_binary(kind.field(index).type)


def _class_names(metadata: dict[bytes, bytes] | None, label: str | None) -> list[str]:
    """The names of a Hugging Face ClassLabel; empty if the label column is none."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        feature = features[label]
        names = feature["names"] if feature["_type"] == "ClassLabel" else []
    except (KeyError, TypeError, ValueError, RecursionError):
        return []
    return names if isinstance(names, list) and all(isinstance(n, str) for n in names) else []

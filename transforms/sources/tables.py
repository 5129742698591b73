"""Rows of a CSV, JSONL or Parquet file, one at a time; damaged rows come as reasons."""

import csv
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from facemill.transforms import storage
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line, readable
from facemill.transforms.sources.arrow import ARROW_ERRORS, is_binary, open_table
from facemill.transforms.sources.labels import is_text
from facemill.transforms.sources.reading import cannot_read

SUFFIXES = (".csv", ".jsonl", ".parquet")

_MAX_LINE_BYTES = 1 << 20
_ROWS_PER_BATCH = 1024
_BOM = b"\xef\xbb\xbf"

Row = dict[str, Any]


class TableError(ValueError):
    """The file is no table of its kind at all; the message says why."""


def columns(path: str) -> list[str]:
    """Names of a table's columns; of JSONL, those of its first row.

    Raises:
        TableError: it has none.
        OSError: it cannot be read.
    """
    with storage.open_file(path) as stream:
        if path.lower().endswith(".parquet"):
            try:
                names = list(open_table(stream).schema_arrow.names)
            except ARROW_ERRORS as error:
                raise TableError(f"is no Parquet file: {one_line(error)}") from None
        elif path.lower().endswith(".csv"):
            names = _header(_lines(stream))
        else:
            # Rows of JSONL need not have the same names, and a damaged row has none.
            row = next((row for _, row in _jsonl(stream) if isinstance(row, dict)), None)
            if row is None:
                raise TableError("holds no JSON object")
            names = list(row)
    for name in names:
        if names.count(name) > 1 and name:
            raise TableError(f"has several columns {readable(name)}")
    return names


def rows(path: str) -> Iterator[tuple[str, Row | Reason]]:
    """(place, row or the reason why it is none) of each row; blank lines are none.

    A place is `line 17`, the first line being 1 and in CSV the header's, or `row 17` from 0 on in
    Parquet; "" stands for the rest of the file. In CSV a line is a row, also where a quote is open
    at its end: so no row can be lost in another. An empty text counts as null, and columns without
    a name or of bytes are left out.
    """
    kind = path.lower()
    read = _parquet_rows if kind.endswith(".parquet") else _csv if kind.endswith(".csv") else _jsonl
    try:
        with storage.open_file(path) as stream:
            for place, row in read(stream):
                yield place, row if isinstance(row, Reason) else _present(row)
    except TableError as error:
        yield "", _bad(str(error))
    except OSError as error:
        yield "", cannot_read(error)


def _present(row: Row) -> Row:
    return {name: None if value == "" else value for name, value in row.items() if name}


def _lines(stream: BinaryIO) -> Iterator[str | None]:
    """Lines of a text in UTF-8 without a byte order mark; None for one longer than the limit.

    What is not UTF-8 comes as lone surrogates.
    """
    mark = _BOM
    while line := stream.readline(_MAX_LINE_BYTES):
        rest, overlong = line, False
        while len(rest) == _MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(_MAX_LINE_BYTES)
            overlong |= bool(rest)
        yield None if overlong else line.removeprefix(mark).decode("utf-8", "surrogateescape")
        mark = b""


# What the csv module says of a line at whose end a quote is open.
_OPEN_QUOTE = "unexpected end of data"
_OVERLONG = Reason(ReasonCode.BAD_ROW, f"its line is longer than {_MAX_LINE_BYTES} bytes")


def _bad(text: str) -> Reason:
    return Reason(ReasonCode.BAD_ROW, text)


def _header(lines: Iterator[str | None]) -> list[str]:
    first = next(lines, "")
    if first is None:
        raise TableError(f"has a first line that is longer than {_MAX_LINE_BYTES} bytes")
    try:
        names = [name.strip() for name in _cells(first)]
    except csv.Error as error:
        raise TableError(f"has no header that is CSV: {one_line(error)}") from None
    if not all(map(is_text, names)):
        raise TableError("has a header that is not UTF-8")
    if not any(names):
        raise TableError("has no header in its first line")
    return names


def _cells(line: str) -> list[str]:
    """The cells of one line.

    Raises:
        csv.Error: it is no row of CSV; also where a quote is not closed on its line.
    """
    # Each line is read on its own: else one stray quote would swallow the rows behind it.
    return next(csv.reader([line], strict=True), [])


def _csv(stream: BinaryIO) -> Iterator[tuple[str, Row | Reason]]:
    lines = _lines(stream)
    names = _header(lines)
    for number, line in enumerate(lines, start=2):
        place = f"line {number}"
        if line is None:
            yield place, _OVERLONG
            continue
        try:
            cells = _cells(line)
        except csv.Error as error:
            told = one_line(error).replace(_OPEN_QUOTE, f"{_OPEN_QUOTE}, a quote is not closed")
            yield place, _bad(f"is no row of CSV: {told}")
            continue
        if cells and len(cells) != len(names):
            yield place, _bad(f"has {len(cells)} cells, but the header has {len(names)}")
        elif cells:
            yield place, dict(zip(names, cells, strict=True))


def _jsonl(stream: BinaryIO) -> Iterator[tuple[str, Row | Reason]]:
    for number, line in enumerate(_lines(stream), start=1):
        place = f"line {number}"
        if line is None:
            yield place, _OVERLONG
            continue
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield place, _bad(f"is no JSON: {one_line(error)}")
            continue
        if isinstance(row, dict):
            yield place, row
        else:
            yield place, _bad(f"must be a JSON object, got a {type(row).__name__}")


def _parquet_rows(stream: BinaryIO) -> Iterator[tuple[str, Row | Reason]]:
    number = 0
    try:
        table = open_table(stream)
        names = [field.name for field in table.schema_arrow if not is_binary(field.type)]
        for batch in table.iter_batches(_ROWS_PER_BATCH, columns=names, use_threads=False):
            for row in _dicts(batch):
                yield f"row {number}", row
                number += 1
    except ARROW_ERRORS as error:
        text = f"cannot be read from row {number} on: {one_line(error)}"
        yield "", Reason(ReasonCode.DAMAGED_CONTAINER, text)


def _dicts(batch: Any) -> Iterator[Row | Reason]:
    try:
        yield from batch.to_pylist()
    except ARROW_ERRORS:
        # One value that Python cannot hold, such as a text that is no UTF-8, costs only its row.
        for index in range(batch.num_rows):
            try:
                (row,) = batch.slice(index, 1).to_pylist()
            except ARROW_ERRORS as error:
                row = _bad(f"holds a value that cannot be read: {one_line(error)}")
            yield row

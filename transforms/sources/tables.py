"""Rows of a CSV, JSONL, Parquet or text file, one at a time; a damaged row is a reason.

A text file (.txt) is a CSV if its first line is a header. Otherwise each line is a path, or a path
and an identity after white space, as in CelebA's and VGGFace2's lists.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from facemill.transforms import storage
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line, readable
from facemill.transforms.dataset.ignored_files import has_image_extension
from facemill.transforms.sources.arrow import ARROW_ERRORS, is_binary, open_table
from facemill.transforms.sources.labels import is_text
from facemill.transforms.sources.reading import cannot_read

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".txt")
# Columns of a text file that has no header.
PATH, IDENTITY = "path", "identity"

_MAX_LINE_BYTES = 1 << 20
_ROWS_PER_BATCH = 1024
# Of UTF-8, and of UTF-16 as Excel saves "Unicode text".
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_DELIMITERS = (",", ";", "\t")

Row = dict[str, Any]


class TableError(ValueError):
    """The file is no table of the kind that its suffix names; the message says why."""


def columns(path: str) -> list[str]:
    """Names of a table's columns; of JSONL, those of its first row.

    Raises:
        TableError: the file is no table, or two columns have the same name.
        OSError: the file cannot be read.
    """
    with storage.open_file(path) as stream:
        if path.lower().endswith(".parquet"):
            try:
                names = list(open_table(stream).schema_arrow.names)
            except ARROW_ERRORS as error:
                raise TableError(f"is no Parquet file: {one_line(error)}") from None
        elif path.lower().endswith(".txt") and _is_plain(stream):
            names = _plain_columns(stream)
        elif not path.lower().endswith(".jsonl"):
            names, _ = _header(_lines(stream))
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
    """(position, row or the reason why it cannot be used) of each row; blank lines are skipped.

    A position is `line 17` in CSV, JSONL and text, from 1 on (the header of CSV is line 1), or
    `row 17` in Parquet, from 0 on; "" stands for the rest of the file. In CSV each line is a row,
    even if a quote is open at its end, so that an open quote cannot hide the rows after it. An
    empty text is null. Columns without a name and columns of bytes are left out.
    """
    try:
        with storage.open_file(path) as stream:
            for position, row in _reader(path.lower(), stream)(stream):
                yield position, row if isinstance(row, Reason) else _present(row)
    except TableError as error:
        yield "", _bad(str(error))
    except OSError as error:
        yield "", cannot_read(error)


def _present(row: Row) -> Row:
    return {name: None if value == "" else value for name, value in row.items() if name}


def _reader(
    path: str, stream: BinaryIO
) -> Callable[[BinaryIO], Iterator[tuple[str, Row | Reason]]]:
    if path.endswith(".parquet"):
        return _parquet_rows
    if path.endswith(".jsonl"):
        return _jsonl
    return _plain_rows if path.endswith(".txt") and _is_plain(stream) else _csv


def _lines(stream: BinaryIO) -> Iterator[str | None]:
    """Lines of a text in UTF-8 or UTF-16, without its mark; None for one longer than the limit.

    Bytes that are not in the encoding become lone surrogates.
    """
    start = stream.read(len(codecs.BOM_UTF8))
    mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
    stream.seek(len(mark))
    encoding = _MARKS.get(mark, "utf-8")
    if encoding != "utf-8":
        yield from _lines_of_utf16(stream, encoding)
        return
    while line := stream.readline(_MAX_LINE_BYTES):
        rest, overlong = line, False
        while len(rest) == _MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(_MAX_LINE_BYTES)
            overlong |= bool(rest)
        yield None if overlong else line.decode("utf-8", "surrogateescape")


def _lines_of_utf16(stream: BinaryIO, encoding: str) -> Iterator[str | None]:
    text = codecs.getreader(encoding)(stream, "surrogatepass")
    line, overlong = "", False
    while part := text.read(_MAX_LINE_BYTES // 2, _MAX_LINE_BYTES // 2):
        *complete, last = part.split("\n")
        for one in complete:
            whole = f"{line}{one}\n"
            yield None if overlong or len(whole) > _MAX_LINE_BYTES else whole
            line, overlong = "", False
        line += last
        if len(line) > _MAX_LINE_BYTES:
            line, overlong = "", True
    if line or overlong:
        yield None if overlong else line


# The message of the csv module for a line with an open quote at its end.
_OPEN_QUOTE = "unexpected end of data"
_OVERLONG = Reason(ReasonCode.BAD_ROW, f"its line is longer than {_MAX_LINE_BYTES} bytes")


def _bad(text: str) -> Reason:
    return Reason(ReasonCode.BAD_ROW, text)


def _header(lines: Iterator[str | None]) -> tuple[list[str], str]:
    """The names of the columns, and what separates cells."""
    first = next(lines, "")
    if first is None:
        raise TableError(f"has a first line that is longer than {_MAX_LINE_BYTES} bytes")
    # Before it is parsed: Python 3.10 takes a null byte for bad CSV.
    if not is_text(first):
        raise TableError("has a header that is not UTF-8")
    if "\0" in first:
        raise TableError("has null bytes in its first line; save it as UTF-8")
    found = []
    for delimiter in _DELIMITERS:
        # A quoted name may hold another delimiter.
        try:
            found.append((_cells(first, delimiter), delimiter))
        except csv.Error as error:
            why = one_line(error)
    if not found:
        raise TableError(f"has no header that is CSV: {why}")
    # The first of those that give the most cells.
    cells, delimiter = max(found, key=lambda one: len(one[0]))
    names = [name.strip() for name in cells]
    if not any(names):
        raise TableError("has no header in its first line")
    return names, delimiter


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of one line.

    Raises:
        csv.Error: the line is no row of CSV, or a quote is not closed on it.
    """
    # Each line is parsed on its own: otherwise one open quote would hide the rows after it.
    return next(csv.reader([line], strict=True, delimiter=delimiter), [])


def _csv(stream: BinaryIO) -> Iterator[tuple[str, Row | Reason]]:
    lines = _lines(stream)
    names, delimiter = _header(lines)
    for number, line in enumerate(lines, start=2):
        position = f"line {number}"
        if line is None:
            yield position, _OVERLONG
            continue
        try:
            cells = _cells(line, delimiter)
        except csv.Error as error:
            message = one_line(error).replace(_OPEN_QUOTE, f"{_OPEN_QUOTE}, a quote is not closed")
            yield position, _bad(f"is no row of CSV: {message}")
            continue
        if cells and len(cells) != len(names):
            yield position, _bad(f"has {len(cells)} cells, but the header has {len(names)}")
        elif cells:
            yield position, dict(zip(names, cells, strict=True))


def _is_plain(stream: BinaryIO) -> bool:
    """Whether the first line of a text names an image, so that it is no header."""
    first = next(_lines(stream), "") or ""
    stream.seek(0)
    return bool(first.split()) and has_image_extension(first.split()[0])


def _plain_columns(stream: BinaryIO) -> list[str]:
    first = next(_lines(stream), "") or ""
    return [PATH, IDENTITY][: len(first.split())]


def _plain_rows(stream: BinaryIO) -> Iterator[tuple[str, Row | Reason]]:
    """Lines of a path, or of a path and an identity without blanks in it."""
    for number, line in enumerate(_lines(stream), start=1):
        position = f"line {number}"
        if line is None:
            yield position, _OVERLONG
            continue
        path, *identity = line.rsplit(maxsplit=1)[:2] if line.strip() else [""]
        if identity and has_image_extension(f"{path} {identity[0]}"):
            # A path with blanks in it, alone on its line.
            path, identity = line.strip(), []
        if path and not has_image_extension(path):
            yield position, _bad(f"is no path of an image, and an identity or none: {line.strip()}")
        elif path:
            yield position, dict(zip((PATH, IDENTITY), (path.strip(), *identity), strict=False))


def _jsonl(stream: BinaryIO) -> Iterator[tuple[str, Row | Reason]]:
    for number, line in enumerate(_lines(stream), start=1):
        position = f"line {number}"
        if line is None:
            yield position, _OVERLONG
            continue
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield position, _bad(f"is no JSON: {one_line(error)}")
            continue
        if isinstance(row, dict):
            yield position, row
        else:
            yield position, _bad(f"must be a JSON object, got a {type(row).__name__}")


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
        # A value that Python cannot hold, such as a text that is not UTF-8, fails only its row.
        for index in range(batch.num_rows):
            try:
                (row,) = batch.slice(index, 1).to_pylist()
            except ARROW_ERRORS as error:
                row = _bad(f"holds a value that cannot be read: {one_line(error)}")
            yield row

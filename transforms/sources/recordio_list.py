"""The `.lst` beside a RecordIO file: from which file each image was packed.

MXNet's im2rec has `INDEX label... PATH` on a line, insightface `ALIGNED PATH LABEL ...` without a
number: its first line is record 1, since record 0 is its header. Columns are parted by tabs.
"""

from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from facemill.transforms import storage
from facemill.transforms.sources.labels import is_text
from facemill.transforms.sources.recordio_frames import DamagedError

# Two paths of the longest kind.
_MAX_LINE = 1 << 13


class Listed(NamedTuple):
    """A line of a list.

    Attributes:
        number: of the record, or None where lines are numbered by their place.
        label: of the image, or the first of several.
        path: that it was packed from.
    """

    number: int | None
    label: float
    path: str


def places(lst: BinaryIO, name: str, keys: Sequence[int]) -> list[int]:
    """Where the lines of some records begin, and where the list ends, in bytes.

    Args:
        lst: the list.
        name: of its file, for messages.
        keys: of the records, in the order in which both files have them.

    Raises:
        DamagedError: it is no list, or not of these records.
    """
    found: list[int] = []
    place = 0
    numbered = False
    for number, line in enumerate(iter(lambda: lst.readline(_MAX_LINE), b"")):
        if number == 0:
            first = parse(line)
            if first is None:
                raise DamagedError(f"line 1 of {name} is not an index, a label and a path")
            numbered = first.number is not None
        if len(line) == _MAX_LINE:
            raise DamagedError(f"line {number + 1} of {name} has more than {_MAX_LINE - 1} bytes")
        while len(found) < len(keys) and _is_of(line, number, keys[len(found)], numbered):
            found.append(place)
        place += len(line)
    if place == 0:
        raise DamagedError(f"{name} is empty")
    if numbered and len(found) < len(keys):
        raise DamagedError(f"{name} has no line of record {keys[len(found)]} where it must be")
    # Behind the images insightface has records of identities, which no line is of.
    return found + [place] * (len(keys) + 1 - len(found))


def _is_of(line: bytes, number: int, key: int, numbered: bool) -> bool:
    # Record 0 may be a header, which has no line.
    if number == 0 and key == 0:
        return True
    return line.startswith(b"%d\t" % key) if numbered else number + 1 == key


def lines_between(lst: BinaryIO, start: int, end: int, first_key: int) -> dict[int, Listed]:
    """Lines by the number of their record.

    Args:
        lst: the list.
        start: where the first begins, in bytes.
        end: where the last ends.
        first_key: the record of the first, of the numbers that `places` was given.
    """
    found: dict[int, Listed] = {}
    for number, line in enumerate(storage.read_range(lst, start, end - start).split(b"\n")):
        one = parse(line)
        if one is not None:
            found[max(first_key, 1) + number if one.number is None else one.number] = one
    return found


def parse(line: bytes) -> Listed | None:
    """A line of either kind, or None if it is of neither."""
    cells = line.decode("utf-8", "surrogateescape").strip("\r\n").split("\t")
    if len(cells) < 3 or not is_text(line.decode("utf-8", "surrogateescape")):
        return None
    first = _number(cells[1])
    if first is None:
        label = _number(cells[2])
        return Listed(None, label, cells[1]) if label is not None and cells[1] else None
    index = cells[0].strip()
    if not (index.isascii() and index.isdigit() and len(index) < 20 and cells[-1]):
        return None
    return Listed(int(index), first, cells[-1])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

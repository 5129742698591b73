"""The `.lst` beside a RecordIO file: from which file each image was packed.

MXNet's im2rec has `INDEX label... PATH` on a line, insightface `ALIGNED PATH LABEL ...` without a
number: its first line is record 1, since record 0 is its header. Columns are parted by tabs.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

from facemill.transforms import storage
from facemill.transforms.sources.recordio_frames import DamagedError

# Two paths of the longest kind; a file that is no list may have no line ends.
_MAX_LINE = 1 << 13


def list_cuts(lst: BinaryIO, name: str, keys: Sequence[int]) -> list[int]:
    """Where the lines of some records begin, and where the list ends, in bytes.

    Args:
        lst: the list.
        name: of its file, for messages.
        keys: of the records, in the order in which both files have them.

    Raises:
        DamagedError: it is no list, or not of these records.
    """
    try:
        numbered = _parse(lst.readline(_MAX_LINE), None)[0] is not None
    except ValueError:
        raise DamagedError(f"line 1 of {name} is not an index, a label and a path") from None
    lst.seek(0)
    # Record 0 may be a header, which has no line.
    found = [0] if keys[0] == 0 else []
    place = 0
    for number, line in enumerate(iter(lambda: lst.readline(_MAX_LINE), b""), start=1):
        if len(found) < len(keys):
            key = keys[len(found)]
            if line.startswith(b"%d\t" % key) if numbered else number == key:
                found.append(place)
        place += len(line)
    if numbered and len(found) < len(keys):
        raise DamagedError(f"{name} has no line of record {keys[len(found)]} where it must be")
    # Behind the images insightface has records of identities, which no line is of.
    return found + [place] * (len(keys) + 1 - len(found))


def labels_and_paths(
    lst: BinaryIO, start: int, end: int, first_key: int
) -> dict[str, tuple[float, str]]:
    """Label (the first of several) and path of images, by the number of their record.

    Args:
        lst: the list.
        start: where the first line begins, in bytes.
        end: where the last ends.
        first_key: the record of the first, of the numbers that `list_cuts` was given.
    """
    found = {}
    lines = storage.read_range(lst, start, end - start).split(b"\n")
    for place, line in enumerate(lines, start=max(first_key, 1)):
        # A line of something else says nothing of its image.
        with suppress(ValueError):
            number, label, path = _parse(line, place)
            found[f"{number}"] = label, path
    return found


def _parse(line: bytes, place: int | None) -> tuple[int | None, float, str]:
    """Number, label and path of a line of either kind; `place` is the number of one without.

    Raises:
        ValueError: it is of neither.
    """
    first, second, *rest = line.decode("utf-8").strip("\r\n").split("\t")
    if not (second and rest and rest[-1]):
        raise ValueError("has no label or no path")
    try:
        label = float(second)
    except ValueError:
        return place, float(rest[0]), second
    return int(first), label, rest[-1]

"""The `.lst` beside a RecordIO file, which gives the file from which each image was packed.

Columns are separated by tabs. MXNet's im2rec writes `INDEX label... PATH` on a line. Insightface
writes `ALIGNED PATH LABEL ...` without an index: its first line is record 1, since record 0 is its
header.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

from facemill.transforms import storage
from facemill.transforms.sources.recordio_frames import DamagedError

# Two paths of maximum length; a file of another kind may have no line ends.
_MAX_LINE = 1 << 13


def list_cuts(
    lst: BinaryIO, name: str, keys: Sequence[int], images: int | None = None
) -> list[int]:
    """Offsets at which the lines of some records begin, and the length of the list, in bytes.

    Args:
        lst: the list.
        name: name of its file, for messages.
        keys: numbers of the records, in the order that both files share.
        images: how many images the records hold, which a list without an index must have too; None
            if that is unknown.

    Raises:
        DamagedError: the file is no list, or a list of other records.
    """
    try:
        numbered = _parse(lst.readline(_MAX_LINE), None)[0] is not None
    except ValueError:
        raise DamagedError(f"line 1 of {name} is not an index, a label and a path") from None
    lst.seek(0)
    # Record 0 may be a header, which has no line.
    found = [0] if keys[0] == 0 else []
    offset = count = 0
    for number, line in enumerate(iter(lambda: lst.readline(_MAX_LINE), b""), start=1):
        if len(found) < len(keys):
            key = keys[len(found)]
            if line.startswith(b"%d\t" % key) if numbered else number == key:
                found.append(offset)
        offset += len(line)
        count += bool(line.strip())
    if numbered and len(found) < len(keys):
        raise DamagedError(f"{name} has no line of record {keys[len(found)]} where it must be")
    if not numbered and images is not None and count != images:
        raise DamagedError(
            f"{name} has {count} lines without an index for {images} images, so that no line is "
            "known to be of an image"
        )
    # After the images, insightface has records of identities, which have no line in the list.
    return found + [offset] * (len(keys) + 1 - len(found))


def labels_and_paths(
    lst: BinaryIO, start: int, end: int, first_key: int
) -> dict[str, tuple[float, str]]:
    """Label (the first of several) and path of images, by the number of their record.

    Args:
        lst: the list.
        start: offset at which the first line begins, in bytes.
        end: offset at which the last line ends, in bytes.
        first_key: number of the record of the first line, one of the keys given to `list_cuts`.
    """
    found = {}
    lines = storage.read_range(lst, start, end - start).split(b"\n")
    for position, line in enumerate(lines, start=max(first_key, 1)):
        # A line in another format gives nothing.
        with suppress(ValueError):
            number, label, path = _parse(line, position)
            found[f"{number}"] = label, path
    return found


def _parse(line: bytes, position: int | None) -> tuple[int | None, float, str]:
    """Number, label and path of a line of either kind; `position` is used if it has no number.

    Raises:
        ValueError: the line is of neither kind.
    """
    first, second, *rest = line.decode("utf-8").strip("\r\n").split("\t")
    if not (second and rest and rest[-1]):
        raise ValueError("has no label or no path")
    try:
        label = float(second)
    except ValueError:
        return position, float(rest[0]), second
    return int(first), label, rest[-1]

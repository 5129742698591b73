"""MXNet's RecordIO pair, `train.rec` and `train.idx`, as CASIA-WebFace and its kin come packed.

The records are found by walking through `train.rec` from frame to frame; `train.idx` says where
the walk may be cut into tasks, and by which number a record goes. So what an index leaves out is
still found, and a damaged index costs speed only. `property` and `train.lst` are looked at where
they lie beside the two.
"""

import itertools
import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, ClassVar

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.images.decode import MAX_BYTES
from facemill.transforms.sources import recordio_list
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.reading import cannot_read, too_large
from facemill.transforms.sources.recordio_frames import DamagedError, Found, Rec, image_of, walk
from facemill.transforms.sources.recordio_list import Listed

SUFFIX = ".rec"
USUAL = "train.rec"
PROPERTY = "property"

_MAX_LINE = 64
_MAX_PROPERTY_BYTES = 256
_RECORDS_PER_TASK = 20_000
_WHOLE_FILE_TASK = "all"
# Of a file that is no use, with its name and the reason behind it.
_NOTE_TASK = "note"
_NO_LABEL = -1.0


class RecordIO(Source):
    """`train.rec`, or else the only `*.rec`, cut into tasks along its `.idx` where that is sound.

    An image's identity is its label as a plain number (`17`), none where that is -1, and its
    image_id `train.rec/INDEX`; a record that the index does not name goes by
    `train.rec/at-OFFSET`. Records that hold labels and no image (insightface's header and its
    ranges of identities) are no images and are passed over.

    `property` says how many identities there are: a label that is none of these is a reason. The
    `.lst`, of im2rec or insightface, says from which file an image was packed: that is its
    attribute `path`, if index and label agree. No other file of the folder is read.

    Args:
        root: the folder, or the `.rec` file in it.
    """

    format: ClassVar[str] = "casia-rec"

    def __init__(self, root: str) -> None:
        folder, _, name = root.rpartition("/")
        if name.endswith(SUFFIX) and storage.is_file(root):
            super().__init__(folder or "/")
            self._found = [name]
        else:
            super().__init__(root)
            self._found = _records_in(root)
        self.rec = self._found[0] if len(self._found) == 1 else USUAL
        stem = self.rec.removesuffix(SUFFIX)
        self.idx, self.lst = f"{stem}.idx", f"{stem}.lst"

    def tasks(self) -> list[str]:
        """`REC_START REC_END IDX_START IDX_END`, in bytes; without a sound index one for all.

        `LST_START LST_END FIRST_KEY` follow where there is a list that can be used.
        """
        if len(self._found) > 1:
            raise ParameterError(
                "input",
                self.root,
                must=f"hold {USUAL} or one file {SUFFIX}",
                got=f"{', '.join(self._found)} in {self.root}",
                do="name one of these files",
            )
        try:
            with storage.open_file(self._path(self.rec)) as stream:
                size = stream.seek(0, os.SEEK_END)
        except OSError as error:
            raise ParameterError(
                "input",
                self.root,
                must=f"hold {self.rec}",
                got=f"{self.root} ({error.strerror or error})",
                do="give the folder that it lies in",
            ) from None
        if size == 0:
            raise ParameterError(
                "input",
                self.root,
                must="hold records",
                but=f"{self.rec} in {self.root} is empty",
                do="check the path",
            )
        notes = []
        try:
            self._identities()
        except (OSError, DamagedError) as error:
            notes.append(_note(PROPERTY, f"{_why(error)}; labels were not compared with it"))
        try:
            with storage.open_file(self._path(self.idx)) as idx:
                cuts = _cut(idx, self.idx, size)
        except FileNotFoundError:
            return [*notes, _WHOLE_FILE_TASK]
        except (OSError, DamagedError) as error:
            reason = f"{_why(error)}; {self.rec} was read without it"
            return [*notes, _note(self.idx, reason), _WHOLE_FILE_TASK]
        tasks = [
            f"{start} {end} {first} {last}"
            for (start, first, _), (end, last, _) in itertools.pairwise(cuts)
        ]
        try:
            with storage.open_file(self._path(self.lst)) as lst:
                keys = [key for _, _, key in cuts[:-1]]
                places = recordio_list.places(lst, self.lst, keys)
        except FileNotFoundError:
            return [*notes, *tasks]
        except (OSError, DamagedError) as error:
            return [*notes, _note(self.lst, f"{_why(error)}; it was not used"), *tasks]
        ranges = itertools.pairwise(places)
        return notes + [
            f"{task} {first} {last} {key}"
            for task, (first, last), key in zip(tasks, ranges, keys, strict=True)
        ]

    def refs(self, task: str) -> Iterator[Ref]:
        """The images between two offsets of the file, in the order in which they lie in it."""
        kind, _, rest = task.partition(" ")
        if kind == _NOTE_TASK:
            name, _, reason = rest.partition("\t")
            yield Ref(name, None, name, reason=reason)
            return
        try:
            identities = self._identities()
        except (OSError, DamagedError):
            # A row of its own tells.
            identities = None
        try:
            with storage.open_file(self._path(self.rec)) as stream:
                rec = Rec(stream, self.rec)
                if task == _WHOLE_FILE_TASK:
                    yield from _all_refs(rec, identities)
                    return
                start, end, first, last, *listed = map(int, task.split())
                keys = _keys(self._path(self.idx), self.idx, first, last)
                paths = self._listed(*listed) if listed else {}
                yield from _refs_between(rec, start, end, keys, self.idx, identities, paths)
        except OSError as error:
            # The part of the file between two offsets: no two tasks have the same.
            place = f"{self.rec}/part-{task.split()[0]}"
            yield Ref(place, None, self.rec, reason=cannot_read(error))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The images without their headers."""
        if not refs:
            return
        try:
            with storage.open_file(self._path(self.rec)) as rec:
                for ref in refs:
                    yield _read(rec, ref)
        except OSError as error:
            # Only opening raises here: `_read` keeps its own errors.
            yield from [Unreadable(cannot_read(error))] * len(refs)

    def _path(self, name: str) -> str:
        return storage.join(self.root, name)

    def _identities(self) -> int | None:
        """How many identities `property` announces, or None without it.

        Raises:
            DamagedError: it is not what insightface writes.
            OSError: it cannot be read.
        """
        try:
            with storage.open_file(self._path(PROPERTY)) as stream:
                text = stream.read(_MAX_PROPERTY_BYTES)
        except FileNotFoundError:
            return None
        cells = [cell.strip() for cell in text.split(b",")]
        if len(cells) != 3 or not all(cell.isdigit() and len(cell) < 20 for cell in cells):
            raise DamagedError("is not a number of identities, a height and a width")
        return int(cells[0])

    def _listed(self, start: int, end: int, first_key: int) -> dict[int, Listed]:
        try:
            with storage.open_file(self._path(self.lst)) as lst:
                return recordio_list.lines_between(lst, start, end, first_key)
        except OSError:
            # Where images were packed from is not worth the images.
            return {}


def _records_in(root: str) -> list[str]:
    """Names of the files of records of which one is to be read."""
    try:
        names = [name for name in storage.top_level(root) if name.endswith(SUFFIX)]
    except OSError:
        return []
    return [USUAL] if USUAL in names else names


def _note(name: str, reason: str) -> str:
    return f"{_NOTE_TASK} {name}\t{reason}"


def _why(error: Exception) -> str:
    return cannot_read(error) if isinstance(error, OSError) else str(error)


def _cut(idx: BinaryIO, name: str, size: int) -> list[tuple[int, int, int]]:
    """Where tasks of about `_RECORDS_PER_TASK` records begin, and where the last one ends.

    Returns:
        Offset in the file of records, offset in the index, and the number that stands there.

    Raises:
        DamagedError: the index is not what it must be.
    """
    cuts: list[tuple[int, int, int]] = []
    last_key = last_offset = -1
    increasing = True
    keys: set[int] = set()
    place = 0
    # No line is that long: a file that is no index has no line ends either.
    for number, line in enumerate(iter(lambda: idx.readline(_MAX_LINE), b"")):
        key, offset = _entry(line, name, number)
        if not last_offset < offset < size:
            raise DamagedError(
                f"line {number + 1} of {name} gives offset {offset}, which is not between the one "
                f"before and the end of the records at {size}"
            )
        if increasing and key <= last_key:
            # Shuffled files are rare, so only they pay for a set of all keys.
            increasing = False
            idx.seek(0)
            keys = {_entry(idx.readline(), name, earlier)[0] for earlier in range(number)}
            idx.seek(place + len(line))
        if not increasing:
            if key in keys:
                raise DamagedError(f"line {number + 1} of {name} names record {key} again")
            keys.add(key)
        if number % _RECORDS_PER_TASK == 0:
            # The first task also looks at what lies before the first record of the index.
            cuts.append((offset if cuts else 0, place, key))
        last_key, last_offset = key, offset
        place += len(line)
    if not cuts:
        raise DamagedError(f"{name} is empty")
    return [*cuts, (size, place, -1)]


def _entry(line: bytes, name: str, number: int) -> tuple[int, int]:
    key, _, offset = line.strip().partition(b"\t")
    if not (key.isdigit() and offset.isdigit() and len(key) < 20 and len(offset) < 20):
        raise DamagedError(f"line {number + 1} of {name} is not a number, a tab and an offset")
    return int(key), int(offset)


def _keys(path: str, name: str, start: int, end: int) -> dict[int, int]:
    """The index's numbers by offset of the record, of the lines between two of its own offsets."""
    with storage.open_file(path) as idx:
        lines = storage.read_range(idx, start, end - start).splitlines()
    return {offset: key for key, offset in (_entry(line, name, 0) for line in lines)}


def _all_refs(rec: Rec, identities: int | None) -> Iterator[Ref]:
    """Without an index records go by their place, from 0 on, as the index would have it."""
    expected = count = 0
    for found in walk(rec, 0, rec.size):
        if count == 0 and found.bare and len(found.labels) == 2:
            expected = _whole(found.labels[1]) or 0
        ref = _ref(rec.name, found, str(count), identities, None)
        if ref is not None:
            yield ref
        count += 1
    # Floats tell whole numbers apart up to here.
    if count < expected <= 1 << 24:
        reason = f"file holds {count} records where its first announces {expected}"
        yield Ref(rec.name, None, rec.name, reason=reason)


def _refs_between(
    rec: Rec,
    start: int,
    end: int,
    keys: Mapping[int, int],
    idx: str,
    identities: int | None,
    listed: Mapping[int, Listed],
) -> Iterator[Ref]:
    """Images that begin from `start` on and before `end`; every key ends in a reference or is
    a record without an image."""
    left = dict(keys)
    for found in walk(rec, start, end):
        key = left.pop(found.offset, None)
        name = f"at-{found.offset}" if key is None else str(key)
        ref = _ref(rec.name, found, name, identities, None if key is None else listed.get(key))
        if ref is not None:
            yield ref
    for offset, key in left.items():
        reason = f"no record begins at byte {offset}, where {idx} has it"
        yield Ref(f"{rec.name}/{key}", None, rec.name, offset, reason=reason)


def _ref(
    rec: str, found: Found, name: str, identities: int | None, listed: Listed | None
) -> Ref | None:
    reason, identity = found.reason, None
    attributes: tuple[tuple[str, str], ...] = ()
    if found.bare:
        return None
    if not reason and found.labels[0] != _NO_LABEL:
        label = _whole(found.labels[0])
        if label is None:
            reason = f"its label is {found.labels[0]:g}, not a whole number from 0 on"
        elif identities is not None and label >= identities:
            reason = f"its label {label} is not one of the {identities} that {PROPERTY} announces"
        else:
            identity = str(label)
    if not reason and listed is not None and listed.label == found.labels[0]:
        attributes = (("path", listed.path),)
    length = found.end - found.offset
    place = f"{rec}/{name}"
    return Ref(place, identity, rec, found.offset, length, reason, attributes=attributes)


def _whole(label: float) -> int | None:
    return int(label) if math.isfinite(label) and label >= 0 and label == int(label) else None


def _read(rec: BinaryIO, ref: Ref) -> bytes | Unreadable:
    # A frame's own bytes count too; they are a few dozen.
    if ref.length > MAX_BYTES:
        return Unreadable(too_large(ref.length, "record"))
    try:
        rec.seek(ref.offset)
        data = rec.read(ref.length)
    except OSError as error:
        return Unreadable(cannot_read(error))
    try:
        return image_of(data)
    except (ValueError, struct.error):
        return Unreadable(f"{ref.path} was changed while the job ran")

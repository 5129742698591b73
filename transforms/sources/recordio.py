"""MXNet's RecordIO pair, `train.rec` and `train.idx`, the format of CASIA-WebFace and others.

The source finds the records by walking through `train.rec` from frame to frame. `train.idx` gives
the offsets at which the walk is divided into tasks, and the number of each record. So records that
the index lacks are found too, and a damaged index costs only speed. The source also reads
`property` and `train.lst` if they lie in the same folder.
"""

import math
import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice, pairwise
from typing import BinaryIO, ClassVar, TypeVar

import numpy as np

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.dataset.ignored_files import is_system_file
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.guesses import Guess, GuessCode
from facemill.transforms.sources.reading import cannot_read, too_large
from facemill.transforms.sources.recordio_frames import DamagedError, Found, Records
from facemill.transforms.sources.recordio_list import labels_and_paths, list_cuts

SUFFIX = ".rec"
USUAL = "train.rec"
PROPERTY = "property"

_T = TypeVar("_T")
_Paths = dict[str, tuple[float, str]]
_PROPERTY = re.compile(rb"\s*(\d{1,19})\s*(,\s*\d{1,19}\s*){2}")
_INDEX_LINE = re.compile(rb"(\d{1,19})\t(\d{1,19})\s*")
# No line of an index is that long; a file of another kind may have no line ends.
_MAX_LINE = 64
_MAX_PROPERTY_BYTES = 256
_RECORDS_PER_TASK = 20_000
# Records of a task whose labels are compared with the list.
_COMPARED = 64
_WHOLE_FILE_TASK = "all"
# The task of a file that cannot be used; its name and the reason follow.
_NOTE_TASK = "note"
_NO_LABEL = -1.0
# float32 represents all whole numbers up to this one.
_MAX_FLOAT_COUNT = 1 << 24


class RecordIO(Source):
    """`train.rec`, or else the only `*.rec`, divided into tasks by its `.idx` if that is sound.

    The identity of an image is its label as a plain number (`17`), or None if the label is -1. Its
    image_id is `train.rec/INDEX`, or `train.rec/at-OFFSET` if the index lacks the record. Records
    that hold labels and no image (insightface's header and its ranges of identities) are not
    listed.

    `property` gives the number of identities: an image with a larger label has a reason. The
    `.lst`, of im2rec or insightface, gives the file from which an image was packed: the attribute
    `path`, if index and label agree. No other file of the folder is read.

    Args:
        root: the folder, or the `.rec` file in it.
    """

    format: ClassVar[str] = "casia-rec"

    def __init__(self, root: str) -> None:
        folder, _, name = root.rpartition("/")
        if name.lower().endswith(SUFFIX) and storage.is_file(root):
            super().__init__(folder or "/")
            names = _names_in(self.root)
            self._found = [name]
        else:
            super().__init__(root)
            names = _names_in(root)
            self._found = _records_in(names)
        self.rec = self._found[0] if len(self._found) == 1 else USUAL
        stem = self.rec[: -len(SUFFIX)]
        self.idx, self.lst = (_spelled(f"{stem}{suffix}", names) for suffix in (".idx", ".lst"))
        self.property = _spelled(PROPERTY, names)

    def tasks(self) -> list[str]:
        """`REC_START REC_END IDX_START IDX_END LST_START LST_END FIRST_KEY`, all but the last in
        bytes; one task for all records without a sound index. Files that cannot be used come first.
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
            with self._open(self.rec) as stream:
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
        notes: list[str] = []

        def read_optional(name: str, read: Callable[[BinaryIO], _T], otherwise: str) -> _T | None:
            """The content of a file; None if it is absent, or cannot be used and so gets a row."""
            try:
                with self._open(name) as stream:
                    return read(stream)
            except FileNotFoundError:
                return None
            except (OSError, DamagedError) as error:
                why = cannot_read(error) if isinstance(error, OSError) else str(error)
                notes.append(f"{_NOTE_TASK} {name}\t{why}; {otherwise}")
                return None

        read_optional(self.property, _identities, "labels were not compared with it")
        read_without = f"{self.rec} was read without it"
        cuts = read_optional(self.idx, lambda idx: _cuts(idx, self.idx, size), read_without)
        if cuts is None:
            return [*notes, _WHOLE_FILE_TASK]
        keys = [key for _, _, key in cuts[:-1]]
        images = self._announced_images()

        def cuts_of_list(lst: BinaryIO) -> list[int]:
            lines = list_cuts(lst, self.lst, keys, images)
            self._check_labels(cuts, lines)
            return lines

        lines = read_optional(self.lst, cuts_of_list, "it was not used")
        parts = zip(pairwise(cuts), pairwise(lines or [0] * len(cuts)), strict=True)
        return notes + [
            f"{start} {end} {idx_start} {idx_end} {lst_start} {lst_end} {key}"
            for ((start, idx_start, key), (end, idx_end, _)), (lst_start, lst_end) in parts
        ]

    def guesses(self, tasks: Sequence[str]) -> list[Guess]:
        """Which files beside the records cannot be used."""
        notes = [task.partition(" ")[2] for task in tasks if task.startswith(f"{_NOTE_TASK} ")]
        return [
            Guess.of(GuessCode.FILE_NOT_USED, (), [why], where=name)
            for name, _, why in (note.partition("\t") for note in notes)
        ]

    def refs(self, task: str) -> Iterator[Ref]:
        """The images between two offsets of the file, in the order of the file."""
        kind, _, rest = task.partition(" ")
        if kind == _NOTE_TASK:
            name, _, reason = rest.partition("\t")
            yield Ref(name, None, name, reason=Reason(ReasonCode.DAMAGED_CONTAINER, reason))
            return
        try:
            with self._open(self.rec) as stream:
                yield from self._refs(Records(stream, self.rec), task)
        except OSError as error:
            # Named by the offset at which the task starts, which no other task has.
            yield Ref(f"{self.rec}/part-{kind}", None, self.rec, reason=cannot_read(error))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The images without their headers."""
        try:
            with self._open(self.rec) as stream:
                records = Records(stream, self.rec)
                for ref in refs:
                    yield _read(records, ref)
        except OSError as error:
            # Only opening raises here: `_read` catches its own errors.
            yield from [Unreadable(cannot_read(error))] * len(refs)

    def _announced_images(self) -> int | None:
        """How many images insightface's header announces; None without such a header."""
        with self._open(self.rec) as stream:
            first = next(Records(stream, self.rec).walk(), None)
        if first is None or not first.bare or len(first.labels) != 2:
            return None
        # The first record behind the images, where records are numbered from 0 on.
        behind = first.labels[0]
        sound = 1 <= behind <= _MAX_FLOAT_COUNT and behind.is_integer()
        return int(behind) - 1 if sound else None

    def _check_labels(self, cuts: Sequence[tuple[int, int, int]], lines: Sequence[int]) -> None:
        """Compares labels of the list and of the first records of the first and last task.

        Raises:
            DamagedError: most differ, so that the list has another order.
        """
        compared = wrong = 0
        for task in sorted({0, len(cuts) - 2}):
            (start, idx_start, key), (end, idx_end, _) = cuts[task], cuts[task + 1]
            keys, paths = self._keys_and_paths(
                idx_start, idx_end, lines[task], lines[task + 1], key
            )
            with self._open(self.rec) as stream:
                for found in islice(Records(stream, self.rec).walk(start, end), _COMPARED):
                    listed, _ = paths.get(f"{keys.get(found.offset)}", (None, ""))
                    if listed is not None and found.labels and not found.bare:
                        compared += 1
                        wrong += listed != found.labels[0]
        if 2 * wrong > compared:
            raise DamagedError(
                f"gives other labels than the records, {wrong} of {compared} that were compared: "
                "its order is another"
            )

    def _open(self, name: str) -> BinaryIO:
        return storage.open_file(storage.join(self.root, name))

    def _refs(self, records: Records, task: str) -> Iterator[Ref]:
        """The images of a task, and a reason for each entry of the index that has no record.

        Without an index, records are numbered from 0 on in the order of the file.
        """
        start, end = 0, None
        keys: dict[int, int] | None = None
        paths: _Paths = {}
        if task != _WHOLE_FILE_TASK:
            start, end, *ranges = map(int, task.split())
            keys, paths = self._keys_and_paths(*ranges)
        identities = math.inf
        # If the file cannot be used, another task reports that.
        with suppress(OSError, DamagedError), self._open(self.property) as stream:
            identities = _identities(stream)
        count, announced = 0, 0.0
        for found in records.walk(start, end):
            key = count if keys is None else keys.pop(found.offset, None)
            if not found.bare:
                yield self._ref(found, key, identities, paths)
            elif keys is None and count == 0 and len(found.labels) == 2:
                # Insightface's header, which announces the number of records.
                announced = found.labels[1]
            count += 1
        for offset, key in (keys or {}).items():
            text = f"no record begins at byte {offset}, where {self.idx} has it"
            reason = Reason(ReasonCode.DAMAGED_RECORD, text)
            yield Ref(f"{self.rec}/{key}", None, self.rec, offset, reason=reason)
        if count < announced <= _MAX_FLOAT_COUNT and announced.is_integer():
            text = f"file holds {count} records where its first announces {announced:.0f}"
            reason = Reason(ReasonCode.DAMAGED_CONTAINER, text)
            yield Ref(self.rec, None, self.rec, reason=reason)

    def _keys_and_paths(
        self, idx_start: int, idx_end: int, lst_start: int, lst_end: int, first_key: int
    ) -> tuple[dict[int, int], _Paths]:
        """The numbers of the index by the offset of their record, and the entries of the list."""
        with self._open(self.idx) as idx:
            lines = storage.read_range(idx, idx_start, idx_end - idx_start).splitlines()
        keys = {offset: key for key, offset in (_entry(line, self.idx, 0) for line in lines)}
        paths: _Paths = {}
        if lst_end:
            # The images can be listed without the paths of their files.
            with suppress(OSError), self._open(self.lst) as lst:
                paths = labels_and_paths(lst, lst_start, lst_end, first_key)
        return keys, paths

    def _ref(self, found: Found, key: int | None, identities: float, paths: _Paths) -> Ref:
        reason, identity = found.reason, None
        attributes: tuple[tuple[str, str], ...] = ()
        name = f"at-{found.offset}" if key is None else f"{key}"
        if not reason:
            label = found.labels[0]
            if label == _NO_LABEL:
                pass
            elif label < 0 or not label.is_integer():
                text = f"its label is {label:g}, not a whole number from 0 on"
                reason = Reason(ReasonCode.BAD_LABEL, text)
            elif label >= identities:
                announced = f"the {identities} that {self.property} announces"
                text = f"its label {int(label)} is not one of {announced}"
                reason = Reason(ReasonCode.BAD_LABEL, text)
            else:
                identity = f"{int(label)}"
            listed, path = paths.get(name, (None, ""))
            if not reason and listed == label:
                attributes = (("path", path),)
        length = found.end - found.offset
        image_id = f"{self.rec}/{name}"
        return Ref(
            image_id, identity, self.rec, found.offset, length, reason, attributes=attributes
        )


def _names_in(root: str) -> list[str]:
    try:
        return [name for name in storage.top_level(root) if not is_system_file(name)]
    except OSError:
        return []


def _records_in(names: Sequence[str]) -> list[str]:
    """Names of record files, in any case: `train.rec` alone if it is there, else all."""
    names = [name for name in names if name.lower().endswith(SUFFIX)]
    usual = [name for name in names if name.lower() == USUAL]
    return usual if len(usual) == 1 else names


def _spelled(name: str, names: Sequence[str]) -> str:
    """A name as the folder has it, which may have it in capitals."""
    return name if name in names else next((n for n in names if n.lower() == name.lower()), name)


def _identities(stream: BinaryIO) -> int:
    """The number of identities that `property` announces.

    Raises:
        DamagedError: the file is not in the format that insightface writes.
    """
    announced = _PROPERTY.fullmatch(stream.read(_MAX_PROPERTY_BYTES))
    if announced is None:
        raise DamagedError("is not a number of identities, a height and a width")
    return int(announced[1])


def _cuts(idx: BinaryIO, name: str, size: int) -> list[tuple[int, int, int]]:
    """Where tasks of about `_RECORDS_PER_TASK` records begin, and where the last one ends.

    Returns:
        For each cut: the offset in the file of records and the offset in the index, both in bytes,
        and the number of the record there; -1 at the end.

    Raises:
        DamagedError: the index is empty, out of order or in another format.
    """
    cuts: list[tuple[int, int, int]] = []
    keys = array("Q")
    last_offset, idx_offset = -1, 0
    for number, line in enumerate(iter(lambda: idx.readline(_MAX_LINE), b"")):
        key, offset = _entry(line, name, number)
        if not last_offset < offset < size:
            raise DamagedError(
                f"line {number + 1} of {name} gives offset {offset}, which is not between the one "
                f"before and the end of the records at {size}"
            )
        if number % _RECORDS_PER_TASK == 0:
            # The first task starts at 0, also if the first record of the index does not.
            cuts.append((offset if cuts else 0, idx_offset, key))
        keys.append(key)
        last_offset = offset
        idx_offset += len(line)
    if not cuts:
        raise DamagedError(f"{name} is empty")
    different, times = np.unique(np.asarray(keys), return_counts=True)
    if len(different) < len(keys):
        raise DamagedError(f"{name} names record {different[times > 1][0]} more than once")
    return [*cuts, (size, idx_offset, -1)]


def _entry(line: bytes, name: str, number: int) -> tuple[int, int]:
    """The record's number and offset on a line of the index."""
    entry = _INDEX_LINE.fullmatch(line)
    if entry is None:
        raise DamagedError(f"line {number + 1} of {name} is not a number, a tab and an offset")
    return int(entry[1]), int(entry[2])


def _read(records: Records, ref: Ref) -> bytes | Unreadable:
    # The length includes the frames' own bytes, a few dozen.
    if ref.length > MAX_BYTES:
        return Unreadable(too_large(ref.length, "record"))
    try:
        return records.image(ref.offset, ref.length)
    except OSError as error:
        return Unreadable(cannot_read(error))
    except DamagedError:
        text = f"{ref.path} was changed while the job ran"
        return Unreadable(Reason(ReasonCode.CHANGED_DURING_RUN, text))

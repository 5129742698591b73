"""MXNet's RecordIO pair, `train.rec` and `train.idx`, as CASIA-WebFace and its kin come packed.

The records are found by walking through `train.rec` from frame to frame; `train.idx` says where
the walk may be cut into tasks, and by which number a record goes. So what an index leaves out is
still found, and a damaged index costs speed only. `property` and `train.lst` are looked at where
they lie beside the two.
"""

import math
import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import BinaryIO, ClassVar, TypeVar

import numpy as np

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Source, Unreadable
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
# No line of an index is that long: a file that is none may have no line ends.
_MAX_LINE = 64
_MAX_PROPERTY_BYTES = 256
_RECORDS_PER_TASK = 20_000
_WHOLE_FILE_TASK = "all"
# Of a file that is no use, with its name and the reason behind it.
_NOTE_TASK = "note"
_NO_LABEL = -1.0
# Floats tell whole numbers apart up to here.
_MAX_FLOAT_COUNT = 1 << 24


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
        """`REC_START REC_END IDX_START IDX_END LST_START LST_END FIRST_KEY`, all but the last in
        bytes; without a sound index one for all. Files that are no use come first."""
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

        def beside(name: str, read: Callable[[BinaryIO], _T], otherwise: str) -> _T | None:
            """What a file says; None if it is not there, or is no use, which a row then says."""
            try:
                with self._open(name) as stream:
                    return read(stream)
            except FileNotFoundError:
                return None
            except (OSError, DamagedError) as error:
                why = cannot_read(error) if isinstance(error, OSError) else str(error)
                notes.append(f"{_NOTE_TASK} {name}\t{why}; {otherwise}")
                return None

        beside(PROPERTY, _identities, "labels were not compared with it")
        read_without = f"{self.rec} was read without it"
        cuts = beside(self.idx, lambda idx: _cuts(idx, self.idx, size), read_without)
        if cuts is None:
            return [*notes, _WHOLE_FILE_TASK]
        keys = [key for _, _, key in cuts[:-1]]
        lines = beside(self.lst, lambda lst: list_cuts(lst, self.lst, keys), "it was not used")
        parts = zip(pairwise(cuts), pairwise(lines or [0] * len(cuts)), strict=True)
        return notes + [
            f"{start} {end} {idx_start} {idx_end} {lst_start} {lst_end} {key}"
            for ((start, idx_start, key), (end, idx_end, _)), (lst_start, lst_end) in parts
        ]

    def refs(self, task: str) -> Iterator[Ref]:
        """The images between two offsets of the file, in the order in which they lie in it."""
        kind, _, rest = task.partition(" ")
        if kind == _NOTE_TASK:
            name, _, reason = rest.partition("\t")
            yield Ref(name, None, name, reason=Reason(ReasonCode.DAMAGED_CONTAINER, reason))
            return
        try:
            with self._open(self.rec) as stream:
                yield from self._refs(Records(stream, self.rec), task)
        except OSError as error:
            # The part of the file between two offsets: no two tasks have the same.
            yield Ref(f"{self.rec}/part-{kind}", None, self.rec, reason=cannot_read(error))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The images without their headers."""
        try:
            with self._open(self.rec) as stream:
                records = Records(stream, self.rec)
                for ref in refs:
                    yield _read(records, ref)
        except OSError as error:
            # Only opening raises here: `_read` keeps its own errors.
            yield from [Unreadable(cannot_read(error))] * len(refs)

    def _open(self, name: str) -> BinaryIO:
        return storage.open_file(storage.join(self.root, name))

    def _refs(self, records: Records, task: str) -> Iterator[Ref]:
        """Every number of the index ends in a reference or is a record without an image.

        Without an index records go by their place, from 0 on, as the index would have it.
        """
        start, end = 0, None
        keys: dict[int, int] | None = None
        paths: _Paths = {}
        if task != _WHOLE_FILE_TASK:
            start, end, *ranges = map(int, task.split())
            keys, paths = self._keys_and_paths(*ranges)
        identities = math.inf
        # It is not there, or a row of its own says why it is no use.
        with suppress(OSError, DamagedError), self._open(PROPERTY) as stream:
            identities = _identities(stream)
        count, announced = 0, 0.0
        for found in records.walk(start, end):
            key = count if keys is None else keys.pop(found.offset, None)
            if not found.bare:
                yield self._ref(found, key, identities, paths)
            elif keys is None and count == 0 and len(found.labels) == 2:
                # Insightface's header.
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
        """The index's numbers by the offset of their record, and what the list says of them."""
        with self._open(self.idx) as idx:
            lines = storage.read_range(idx, idx_start, idx_end - idx_start).splitlines()
        keys = {offset: key for key, offset in (_entry(line, self.idx, 0) for line in lines)}
        paths: _Paths = {}
        if lst_end:
            # Where images were packed from is not worth the images.
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
                announced = f"the {identities} that {PROPERTY} announces"
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


def _records_in(root: str) -> list[str]:
    """Names of the files of records of which one is to be read."""
    try:
        names = [name for name in storage.top_level(root) if name.endswith(SUFFIX)]
    except OSError:
        return []
    return [USUAL] if USUAL in names else names


def _identities(stream: BinaryIO) -> int:
    """How many identities `property` announces.

    Raises:
        DamagedError: it is not what insightface writes.
    """
    announced = _PROPERTY.fullmatch(stream.read(_MAX_PROPERTY_BYTES))
    if announced is None:
        raise DamagedError("is not a number of identities, a height and a width")
    return int(announced[1])


def _cuts(idx: BinaryIO, name: str, size: int) -> list[tuple[int, int, int]]:
    """Where tasks of about `_RECORDS_PER_TASK` records begin, and where the last one ends.

    Returns:
        Offset in the file of records, offset in the index, and the number that stands there.

    Raises:
        DamagedError: the index is not what it must be.
    """
    cuts: list[tuple[int, int, int]] = []
    keys = array("Q")
    last_offset, place = -1, 0
    for number, line in enumerate(iter(lambda: idx.readline(_MAX_LINE), b"")):
        key, offset = _entry(line, name, number)
        if not last_offset < offset < size:
            raise DamagedError(
                f"line {number + 1} of {name} gives offset {offset}, which is not between the one "
                f"before and the end of the records at {size}"
            )
        if number % _RECORDS_PER_TASK == 0:
            # The first task also looks at what lies before the first record of the index.
            cuts.append((offset if cuts else 0, place, key))
        keys.append(key)
        last_offset = offset
        place += len(line)
    if not cuts:
        raise DamagedError(f"{name} is empty")
    different, times = np.unique(np.asarray(keys), return_counts=True)
    if len(different) < len(keys):
        raise DamagedError(f"{name} names record {different[times > 1][0]} more than once")
    return [*cuts, (size, place, -1)]


def _entry(line: bytes, name: str, number: int) -> tuple[int, int]:
    """The number and the offset of a line of the index."""
    entry = _INDEX_LINE.fullmatch(line)
    if entry is None:
        raise DamagedError(f"line {number + 1} of {name} is not a number, a tab and an offset")
    return int(entry[1]), int(entry[2])


def _read(records: Records, ref: Ref) -> bytes | Unreadable:
    # A frame's own bytes count too; they are a few dozen.
    if ref.length > MAX_BYTES:
        return Unreadable(too_large(ref.length, "record"))
    try:
        return records.image(ref.offset, ref.length)
    except OSError as error:
        return Unreadable(cannot_read(error))
    except DamagedError:
        text = f"{ref.path} was changed while the job ran"
        return Unreadable(Reason(ReasonCode.CHANGED_DURING_RUN, text))

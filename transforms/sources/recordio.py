"""MXNet's RecordIO pair, `train.rec` and `train.idx`, as CASIA-WebFace and its kin come packed.

The framing is dmlc-core's, the header of each record MXNet's image header. The records are found
by walking through `train.rec` from frame to frame; `train.idx` says where the walk may be cut
into tasks, and by which number a record goes. So what an index leaves out is still found, and a
damaged index costs speed only.
"""

import itertools
import math
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, ClassVar

from transforms import storage
from transforms.decode import MAX_BYTES
from transforms.errors import UsageError
from transforms.sources.base import Ref, Source, Unreadable
from transforms.sources.reading import cannot_read, too_large

REC = "train.rec"
IDX = "train.idx"

_MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", _MAGIC)
_FRAME = struct.Struct("<II")
_LENGTH_MASK = (1 << 29) - 1
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
# flag (number of labels behind the header, 0 for the one in it), label, id, second id
_HEADER = struct.Struct("<IfQQ")
_LABEL_BYTES = 4
# The header and the first two labels; no more of a record is read to list it.
_HEAD_BYTES = _HEADER.size + 2 * _LABEL_BYTES
_BLOCK = 1 << 20
_MAX_LINE = 64
_RECORDS_PER_TASK = 20_000
_WHOLE_FILE_TASK = "all"
_BAD_INDEX_TASK = "index"


class _DamagedError(ValueError):
    """A record that cannot be used; the message is the row's reason."""


class RecordIO(Source):
    """`train.rec`, cut into tasks along `train.idx` where that exists and is sound.

    An image's identity is its label as a plain number (`17`), and its image_id
    `train.rec/INDEX`; a record that the index does not name goes by `train.rec/at-OFFSET`.
    Records that hold labels and no image (insightface's header and its ranges of identities) are
    no images and are passed over. No other file of the folder is read.
    """

    format: ClassVar[str] = "casia-rec"

    def tasks(self) -> list[str]:
        """`REC_START REC_END IDX_START IDX_END`, in bytes; without a sound index one for all."""
        try:
            with storage.open_file(storage.join(self.root, REC)) as rec:
                size = rec.seek(0, os.SEEK_END)
        except OSError as error:
            raise UsageError(
                f"--input must hold {REC}, got {self.root} ({error.strerror or error}); "
                "give the folder that it lies in."
            ) from None
        if size == 0:
            raise UsageError(
                f"--input must hold records, but {REC} in {self.root} is empty; check the path."
            )
        try:
            with storage.open_file(storage.join(self.root, IDX)) as idx:
                return _cut(idx, size)
        except FileNotFoundError:
            return [_WHOLE_FILE_TASK]
        except (OSError, _DamagedError) as error:
            return [f"{_BAD_INDEX_TASK} {error}", _WHOLE_FILE_TASK]

    def refs(self, task: str) -> Iterator[Ref]:
        """The images between two offsets of the file, in the order in which they lie in it."""
        kind, _, reason = task.partition(" ")
        if kind == _BAD_INDEX_TASK:
            yield Ref(IDX, None, IDX, reason=f"{reason}; {REC} was read without it")
            return
        try:
            with storage.open_file(storage.join(self.root, REC)) as rec:
                if task == _WHOLE_FILE_TASK:
                    yield from _all_refs(rec)
                else:
                    start, end, *lines = map(int, task.split())
                    keys = _keys(storage.join(self.root, IDX), *lines)
                    yield from _refs_between(rec, start, end, keys)
        except OSError as error:
            # The part of the file between two offsets: no two tasks have the same.
            place = f"{REC}/part-{task.split()[0]}"
            yield Ref(place, None, REC, reason=cannot_read(error))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The images without their headers."""
        if not refs:
            return
        try:
            with storage.open_file(storage.join(self.root, REC)) as rec:
                for ref in refs:
                    yield _read(rec, ref)
        except OSError as error:
            # Only opening raises here: `_read` keeps its own errors.
            yield from [Unreadable(cannot_read(error))] * len(refs)


@dataclass(frozen=True, slots=True)
class _Found:
    """One record, or one stretch of bytes that is none.

    Attributes:
        offset: of its first frame.
        end: of the padding behind its last frame.
        labels: the first two at most.
        bare: it holds labels and no image.
        image_bytes: behind header and labels.
        reason: why it cannot be used, or "".
    """

    offset: int
    end: int
    labels: tuple[float, ...] = ()
    bare: bool = False
    reason: str = ""


def _cut(idx: BinaryIO, size: int) -> list[str]:
    """Tasks of about `_RECORDS_PER_TASK` records each.

    Raises:
        _DamagedError: the index is not what it must be.
    """
    cuts: list[tuple[int, int]] = []
    last_key = last_offset = -1
    increasing = True
    keys: set[int] = set()
    place = 0
    # No line is that long: a file that is no index has no line ends either.
    for number, line in enumerate(iter(lambda: idx.readline(_MAX_LINE), b"")):
        key, offset = _entry(line, number)
        if not last_offset < offset < size:
            raise _DamagedError(
                f"line {number + 1} of {IDX} gives offset {offset}, which is not between the one "
                f"before and the end of {REC} at {size}"
            )
        if increasing and key <= last_key:
            # Shuffled files are rare, so only they pay for a set of all keys.
            increasing = False
            idx.seek(0)
            keys = {_entry(idx.readline(), earlier)[0] for earlier in range(number)}
            idx.seek(place + len(line))
        if not increasing:
            if key in keys:
                raise _DamagedError(f"line {number + 1} of {IDX} names record {key} again")
            keys.add(key)
        if number % _RECORDS_PER_TASK == 0:
            # The first task also looks at what lies before the first record of the index.
            cuts.append((offset if cuts else 0, place))
        last_key, last_offset = key, offset
        place += len(line)
    if not cuts:
        raise _DamagedError(f"{IDX} is empty")
    cuts.append((size, place))
    return [
        f"{start} {end} {first} {last}" for (start, first), (end, last) in itertools.pairwise(cuts)
    ]


def _entry(line: bytes, number: int) -> tuple[int, int]:
    key, _, offset = line.strip().partition(b"\t")
    if not (key.isdigit() and offset.isdigit() and len(key) < 20 and len(offset) < 20):
        raise _DamagedError(f"line {number + 1} of {IDX} is not a number, a tab and an offset")
    return int(key), int(offset)


def _keys(path: str, start: int, end: int) -> dict[int, int]:
    """The index's numbers by offset in `train.rec`, of the lines between two of its own offsets."""
    with storage.open_file(path) as idx:
        lines = storage.read_range(idx, start, end - start).splitlines()
    return {offset: key for key, offset in (_entry(line, 0) for line in lines)}


def _all_refs(rec: BinaryIO) -> Iterator[Ref]:
    """Without an index records go by their place, from 0 on, as the index would have it."""
    size = rec.seek(0, os.SEEK_END)
    expected = count = 0
    for found in _walk(rec, 0, size):
        if count == 0 and found.bare and len(found.labels) == 2:
            expected = _whole(found.labels[1]) or 0
        ref = _ref(found, str(count))
        if ref is not None:
            yield ref
        count += 1
    # Floats tell whole numbers apart up to here.
    if count < expected <= 1 << 24:
        reason = f"file holds {count} records where its first announces {expected}"
        yield Ref(REC, None, REC, reason=reason)


def _refs_between(rec: BinaryIO, start: int, end: int, keys: dict[int, int]) -> Iterator[Ref]:
    """Images that begin from `start` on and before `end`; every key ends in a reference or is
    a record without an image."""
    left = dict(keys)
    for found in _walk(rec, start, end):
        key = left.pop(found.offset, None)
        ref = _ref(found, f"at-{found.offset}" if key is None else str(key))
        if ref is not None:
            yield ref
    for offset, key in left.items():
        reason = f"no record begins at byte {offset}, where {IDX} has it"
        yield Ref(f"{REC}/{key}", None, REC, offset, reason=reason)


def _ref(found: _Found, name: str) -> Ref | None:
    reason, identity = found.reason, None
    if found.bare:
        return None
    if not reason:
        label = _whole(found.labels[0])
        if label is None:
            reason = f"its label is {found.labels[0]:g}, not a whole number from 0 on"
        else:
            identity = str(label)
    length = found.end - found.offset
    return Ref(f"{REC}/{name}", identity, REC, found.offset, length, reason)


def _whole(label: float) -> int | None:
    return int(label) if math.isfinite(label) and label >= 0 and label == int(label) else None


def _walk(rec: BinaryIO, start: int, end: int) -> Iterator[_Found]:
    """Records that begin from `start` on and before `end`.

    After a damaged stretch, which is given once, the walk goes on at the next magic number: the
    format has it at a multiple of 4 bytes only where a frame begins.
    """
    size = rec.seek(0, os.SEEK_END)
    position = start
    while position < end:
        try:
            found = _record_at(rec, position, size)
        except (_DamagedError, struct.error) as error:
            following = _next_frame(rec, position + 4, size)
            found = _Found(position, following, reason=str(error))
        yield found
        position = found.end


def _record_at(rec: BinaryIO, offset: int, size: int) -> _Found:
    """The record that begins at `offset`, without its image.

    Raises:
        _DamagedError: there is none, or it is not whole.
    """
    head = b""
    length, position, parts = 0, offset, 0
    kind = _WHOLE
    while parts == 0 or kind not in (_WHOLE, _LAST):
        kind, part = _frame_at(rec, position, size)
        if kind not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
            raise _DamagedError(f"frame at byte {position} of {REC} lies in the wrong order")
        if parts:
            head += _MAGIC_BYTES
            length += len(_MAGIC_BYTES)
        head += rec.read(min(part, max(_HEAD_BYTES - len(head), 0)))
        length += part
        parts += 1
        position += _FRAME.size + _padded(part)
    _check_end(rec, offset, position, size)
    if length < _HEADER.size:
        raise _DamagedError(f"record of {length} bytes is shorter than its header")
    flag, label, _, _ = _HEADER.unpack_from(head)
    if flag == 0:
        return _Found(offset, position, (label,))
    start = _HEADER.size + _LABEL_BYTES * flag
    if length < start:
        raise _DamagedError(f"record of {length} bytes announces {flag} labels")
    labels = struct.unpack_from(f"<{min(flag, 2)}f", head, _HEADER.size)
    return _Found(offset, position, labels, bare=length == start)


def _check_end(rec: BinaryIO, offset: int, end: int, size: int) -> None:
    """A wrong length would swallow the records behind: between its ends no other may begin.

    Only looked at where no record begins at the end, so that a damaged one does not take the one
    before it along.
    """
    if end == size:
        return
    rec.seek(end)
    if rec.read(len(_MAGIC_BYTES)) == _MAGIC_BYTES:
        return
    following = _next_frame(rec, offset + _FRAME.size, size)
    if following < end:
        raise _DamagedError(
            f"record at byte {offset} of {REC} has a wrong length: another begins at {following}"
        )


def _frame_at(rec: BinaryIO, offset: int, size: int) -> tuple[int, int]:
    """Kind and length of the frame at an offset; the stream then stands behind its head."""
    rec.seek(offset)
    head = rec.read(_FRAME.size)
    if len(head) < _FRAME.size:
        raise _DamagedError(f"{REC} is cut off at byte {offset + len(head)}")
    magic, word = _FRAME.unpack(head)
    if magic != _MAGIC:
        raise _DamagedError(f"no record begins at byte {offset} of {REC}: wrong magic number")
    kind, length = word >> 29, word & _LENGTH_MASK
    if kind > _LAST:
        raise _DamagedError(f"frame at byte {offset} of {REC} is of unknown kind {kind}")
    if offset + _FRAME.size + _padded(length) > size:
        raise _DamagedError(
            f"record at byte {offset} of {REC} is cut off: it needs "
            f"{_FRAME.size + _padded(length)} bytes and {size - offset} are left"
        )
    return kind, length


def _padded(length: int) -> int:
    return (length + 3) & ~3


def _next_frame(rec: BinaryIO, start: int, size: int) -> int:
    """Offset of the first magic number of a record's first frame from `start` on, or the end."""
    position = start + -start % 4
    while position < size:
        rec.seek(position)
        block = rec.read(_BLOCK)
        place = block.find(_MAGIC_BYTES)
        while place >= 0:
            kind = int.from_bytes(block[place + 4 : place + 8], "little") >> 29
            if place + 8 > len(block):
                break
            if place % 4 == 0 and kind in (_WHOLE, _FIRST):
                return position + place
            place = block.find(_MAGIC_BYTES, place + 1)
        if len(block) < _BLOCK:
            break
        # Four bytes again, for a head that lies across two blocks.
        position += _BLOCK - 4
    return size


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
        payload = _joined(data)
        (flag,) = struct.unpack_from("<I", payload)
        return payload[_HEADER.size + _LABEL_BYTES * flag :]
    except (ValueError, struct.error):
        return Unreadable(f"{REC} was changed while the job ran")


def _joined(data: bytes) -> bytes:
    """The payload of one record's frames; dmlc cut the magic number out between two parts."""
    parts = []
    position = 0
    while position < len(data):
        magic, word = _FRAME.unpack_from(data, position)
        length = word & _LENGTH_MASK
        position += _FRAME.size
        if magic != _MAGIC or position + length > len(data):
            raise ValueError("not a record")
        parts.append(data[position : position + length])
        position += _padded(length)
    return _MAGIC_BYTES.join(parts)

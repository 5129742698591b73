"""The records of a RecordIO file: dmlc-core's framing, and MXNet's image header in each."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from facemill.transforms.core.reasons import Reason, ReasonCode

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


class DamagedError(ValueError):
    """A record, or an index of records, that cannot be used; the message is the row's reason."""


class Rec:
    """An open file of records.

    Args:
        stream: of the file, which stays the caller's.
        name: of the file, for messages.

    Attributes:
        size: in bytes.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self._stream = stream
        self.size = stream.seek(0, os.SEEK_END)

    def seek(self, offset: int) -> None:
        """Goes to a byte."""
        self._stream.seek(offset)

    def read(self, length: int) -> bytes:
        """What follows, at most so many bytes."""
        return self._stream.read(length)


@dataclass(frozen=True, slots=True)
class Found:
    """One record, or one stretch of bytes that is none.

    Attributes:
        offset: of its first frame.
        end: of the padding behind its last frame.
        labels: the first two at most.
        bare: it holds labels and no image.
        image_bytes: behind header and labels.
        reason: why it cannot be used, or None.
    """

    offset: int
    end: int
    labels: tuple[float, ...] = ()
    bare: bool = False
    reason: Reason | None = None


def walk(rec: Rec, start: int, end: int) -> Iterator[Found]:
    """Records that begin from `start` on and before `end`.

    After a damaged stretch, which is given once, the walk goes on at the next magic number: the
    format has it at a multiple of 4 bytes only where a frame begins.
    """
    size = rec.size
    position = start
    while position < end:
        try:
            found = _record_at(rec, position, size)
        except (DamagedError, struct.error) as error:
            following = _next_frame(rec, position + 4, size)
            reason = Reason(ReasonCode.DAMAGED_RECORD, str(error))
            found = Found(position, following, reason=reason)
        yield found
        position = found.end


def _record_at(rec: Rec, offset: int, size: int) -> Found:
    """The record that begins at `offset`, without its image.

    Raises:
        DamagedError: there is none, or it is not whole.
    """
    head = b""
    length, position, parts = 0, offset, 0
    kind = _WHOLE
    while parts == 0 or kind not in (_WHOLE, _LAST):
        kind, part = _frame_at(rec, position, size)
        if kind not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
            raise DamagedError(f"frame at byte {position} of {rec.name} lies in the wrong order")
        if parts:
            head += _MAGIC_BYTES
            length += len(_MAGIC_BYTES)
        head += rec.read(min(part, max(_HEAD_BYTES - len(head), 0)))
        length += part
        parts += 1
        position += _FRAME.size + _padded(part)
    _check_end(rec, offset, position, size)
    if length < _HEADER.size:
        raise DamagedError(f"record of {length} bytes is shorter than its header")
    flag, label, _, _ = _HEADER.unpack_from(head)
    if flag == 0:
        return Found(offset, position, (label,))
    start = _HEADER.size + _LABEL_BYTES * flag
    if length < start:
        raise DamagedError(f"record of {length} bytes announces {flag} labels")
    labels = struct.unpack_from(f"<{min(flag, 2)}f", head, _HEADER.size)
    return Found(offset, position, labels, bare=length == start)


def _check_end(rec: Rec, offset: int, end: int, size: int) -> None:
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
        raise DamagedError(
            f"record at byte {offset} of {rec.name} has a wrong length: another begins at "
            f"{following}"
        )


def _frame_at(rec: Rec, offset: int, size: int) -> tuple[int, int]:
    """Kind and length of the frame at an offset; the stream then stands behind its head."""
    rec.seek(offset)
    head = rec.read(_FRAME.size)
    if len(head) < _FRAME.size:
        raise DamagedError(f"{rec.name} is cut off at byte {offset + len(head)}")
    magic, word = _FRAME.unpack(head)
    if magic != _MAGIC:
        raise DamagedError(f"no record begins at byte {offset} of {rec.name}: wrong magic number")
    kind, length = word >> 29, word & _LENGTH_MASK
    if kind > _LAST:
        raise DamagedError(f"frame at byte {offset} of {rec.name} is of unknown kind {kind}")
    if offset + _FRAME.size + _padded(length) > size:
        raise DamagedError(
            f"record at byte {offset} of {rec.name} is cut off: it needs "
            f"{_FRAME.size + _padded(length)} bytes and {size - offset} are left"
        )
    return kind, length


def _padded(length: int) -> int:
    return (length + 3) & ~3


def _next_frame(rec: Rec, start: int, size: int) -> int:
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


def image_of(record: bytes) -> bytes:
    """The image in the frames of one record.

    Raises:
        ValueError, struct.error: they are no record.
    """
    payload = _joined(record)
    (flag,) = struct.unpack_from("<I", payload)
    return payload[_HEADER.size + _LABEL_BYTES * flag :]


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

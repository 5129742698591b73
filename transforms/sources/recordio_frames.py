"""The records of a RecordIO file: dmlc-core's frames, and MXNet's image header in each.

A frame is the magic number, a word of its kind (3 bits) and length (29 bits), and that many bytes,
padded to a multiple of 4. A record is one frame, or several: where its bytes contain the magic
number at a multiple of 4, the writer omits it and starts another frame.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from facemill.transforms.core.reasons import Reason, ReasonCode

_MAGIC = struct.pack("<I", 0xCED7230A)
_FRAME = struct.Struct("<4sI")
_LENGTH_BITS = 29
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
# The magic number of a record's first frame: of kind 0 or 1.
_START = re.compile(re.escape(_MAGIC) + rb"(?=...[\x00-\x3f])", re.DOTALL)
# flag (number of labels after the header; 0: only the label in the header), label, id, second id
_HEADER = struct.Struct("<IfQQ")
# The header and the first two labels: all that listing a record reads of it.
_HEAD_BYTES = _HEADER.size + 8
# A multiple of 4.
_BLOCK = 1 << 20


class DamagedError(ValueError):
    """A record, or a file beside the records, cannot be used; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Found:
    """One record, or damaged bytes between two records.

    Attributes:
        offset: where its first frame starts, in bytes.
        end: where the padding after its last frame ends, in bytes.
        labels: its labels, at most the first two.
        bare: whether it holds labels and no image.
        reason: why it cannot be used, or None.
    """

    offset: int
    end: int
    labels: tuple[float, ...] = ()
    bare: bool = False
    reason: Reason | None = None


class Records:
    """The records of an open file.

    Args:
        stream: the open file; the caller closes it.
        name: name of the file, for messages.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._size = stream.seek(0, os.SEEK_END)

    def walk(self, start: int = 0, end: int | None = None) -> Iterator[Found]:
        """Records that begin at or after `start`, and before `end` or the end of the file.

        Damaged bytes are yielded once, and the walk continues at the next frame that begins a
        record: the format has the magic number at a multiple of 4 only where a frame begins.
        """
        position = start
        while position < (self._size if end is None else end):
            try:
                found = self._record(position)
            except DamagedError as error:
                reason = Reason(ReasonCode.DAMAGED_RECORD, str(error))
                found = Found(position, self._next(position + 4, self._size), reason=reason)
            yield found
            position = found.end

    def image(self, offset: int, length: int) -> bytes:
        """The image of the record of `length` bytes at `offset`, frames included.

        Raises:
            DamagedError: there is no such record.
        """
        payload, _, end = self._payload(offset, length)
        if end != offset + length:
            raise DamagedError(f"record at byte {offset} of {self._name} ends at {end}")
        return payload[_labels_end(payload) :]

    def _record(self, offset: int) -> Found:
        """The record that begins at `offset`, without its image.

        Raises:
            DamagedError: no record begins there, or it is damaged.
        """
        head, length, end = self._payload(offset, _HEAD_BYTES)
        # A wrong length would hide the records that follow. It is checked only where no record
        # begins at the end: otherwise the record is sound, even if the next one is damaged.
        following = end if self._begins_at(end) else self._next(offset + 4, end)
        if following < end:
            raise DamagedError(
                f"record at byte {offset} of {self._name} has a wrong length: another begins at "
                f"{following}"
            )
        image = _labels_end(head)
        if length < image:
            count = (image - _HEADER.size) // 4
            raise DamagedError(f"record of {length} bytes announces {count} labels")
        if image == _HEADER.size:
            return Found(offset, end, (_HEADER.unpack_from(head)[1],))
        labels = struct.iter_unpack("<f", head[_HEADER.size : min(image, _HEAD_BYTES)])
        return Found(offset, end, tuple(label for (label,) in labels), bare=length == image)

    def _payload(self, offset: int, limit: int) -> tuple[bytes, int, int]:
        """The payload of one record, joined from its frames.

        Args:
            offset: where the record begins, in bytes.
            limit: how many bytes of each frame are read at most.

        Returns:
            At least the first `limit` bytes of the payload, the length of the payload, and the
            offset at which the record ends.

        Raises:
            DamagedError: no record begins there, or it is cut off.
        """
        parts: list[bytes] = []
        length, position, kind = 0, offset, _FIRST
        while kind not in (_WHOLE, _LAST):
            self._stream.seek(position)
            head = self._stream.read(_FRAME.size)
            _, word = _FRAME.unpack(head.ljust(_FRAME.size, b"\0"))
            kind, size = word >> _LENGTH_BITS, word & (1 << _LENGTH_BITS) - 1
            end = position + _FRAME.size + _padded(size)
            where = f"byte {position} of {self._name}"
            if not _MAGIC.startswith(head[: len(_MAGIC)]):
                raise DamagedError(f"no record begins at {where}: wrong magic number")
            part = self._stream.read(min(size, limit))
            # `read` returns fewer bytes if the file was cut off after it was opened.
            if len(head) < _FRAME.size or len(part) < min(size, limit) or end > self._size:
                left = self._size - position
                raise DamagedError(f"record at {where} is cut off: only {left} bytes are left")
            if kind not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
                raise DamagedError(f"frame at {where} is of the wrong kind {kind}")
            parts.append(part)
            length += size
            position = end
        payload = _MAGIC.join(parts)
        if len(payload) < _HEADER.size:
            raise DamagedError(f"record of {len(payload)} bytes is shorter than its header")
        return payload, length + len(_MAGIC) * (len(parts) - 1), position

    def _begins_at(self, position: int) -> bool:
        """Whether a frame begins, or the file ends, at a position."""
        self._stream.seek(position)
        return position == self._size or self._stream.read(len(_MAGIC)) == _MAGIC

    def _next(self, position: int, end: int) -> int:
        """The offset of the first record from `position` on, or `end` if none begins before it."""
        position = _padded(position)
        while position < end:
            self._stream.seek(position)
            for match in _START.finditer(self._stream.read(_BLOCK)):
                if match.start() % 4 == 0:
                    return min(position + match.start(), end)
            # Blocks overlap by four bytes, for a frame head that lies across two of them.
            position += _BLOCK - 4
        return end


def _labels_end(payload: bytes) -> int:
    """Where header and labels of a record end, in bytes."""
    return _HEADER.size + 4 * _HEADER.unpack_from(payload)[0]


def _padded(length: int) -> int:
    return (length + 3) & ~3

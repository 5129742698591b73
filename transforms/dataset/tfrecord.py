"""TFRecord framing: length, its masked CRC, payload, its masked CRC.

This replaces Beam's sink and TensorFlow's writer because our readers access records by offset, and
neither of these returns the offsets of the records it writes. The format is described at
https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import google_crc32c

from facemill.transforms.core.errors import RunError

HEADER_BYTES = 12
FOOTER_BYTES = 4

# The damage of a file in which not even the length of a record can be trusted.
BAD_LENGTH = "the CRC of a length does not fit"

_MASK_DELTA = 0xA282EAD8
# Far above any record of ours; a longer one is refused before memory is allocated for it.
_MAX_PAYLOAD = 1 << 30


class DamagedError(RunError):
    """A TFRecord file is cut off or damaged.

    Attributes:
        what: description of the damage, without the file's path.
    """

    def __init__(self, message: str, what: str = "") -> None:
        super().__init__(message)
        self.what = what


def frame(payload: bytes) -> bytes:
    """The payload with its TFRecord header and footer."""
    length = struct.pack("<Q", len(payload))
    return b"".join(
        (length, struct.pack("<I", _mask(length)), payload, struct.pack("<I", _mask(payload)))
    )


def write(stream: BinaryIO, payloads: Iterable[bytes]) -> list[tuple[int, int]]:
    """Writes payloads one after the other.

    Returns:
        (offset of the frame, length of the payload) of each, in bytes.
    """
    positions = []
    offset = stream.tell()
    for payload in payloads:
        framed = frame(payload)
        stream.write(framed)
        positions.append((offset, len(payload)))
        offset += len(framed)
    return positions


def read(stream: BinaryIO) -> Iterator[bytes]:
    """The payloads of a TFRecord file from the stream's position on.

    Raises:
        DamagedError: a frame is cut off or a CRC does not fit.
    """
    while header := stream.read(HEADER_BYTES):
        length = _payload_length(header, stream)
        body = stream.read(length + FOOTER_BYTES)
        if len(body) != length + FOOTER_BYTES:
            raise _damaged(stream, "it ends inside a record")
        yield _checked(body, stream)


def read_at(stream: BinaryIO, offset: int) -> bytes:
    """The payload of the frame that starts at `offset`.

    Raises:
        DamagedError: there is no complete frame, or a CRC does not fit.
    """
    stream.seek(offset)
    for payload in read(stream):
        return payload
    raise _damaged(stream, f"no record starts at byte {offset}")


def scan(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """(offset of the frame, length of the payload) of each record, without reading payloads.

    Raises:
        DamagedError: a frame is cut off or a length's CRC does not fit.
    """
    size = stream.seek(0, 2)
    offset = 0
    while offset < size:
        stream.seek(offset)
        length = _payload_length(stream.read(HEADER_BYTES), stream)
        end = offset + HEADER_BYTES + length + FOOTER_BYTES
        if end > size:
            raise _damaged(stream, "it ends inside a record")
        yield offset, length
        offset = end


def _mask(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _payload_length(header: bytes, stream: BinaryIO) -> int:
    if len(header) != HEADER_BYTES:
        raise _damaged(stream, "it ends inside a header")
    length, crc = struct.unpack("<QI", header)
    if crc != _mask(header[:8]):
        raise _damaged(stream, BAD_LENGTH)
    if length > _MAX_PAYLOAD:
        raise _damaged(stream, f"a record claims {length} bytes")
    return length


def _checked(body: bytes, stream: BinaryIO) -> bytes:
    payload, (crc,) = body[:-FOOTER_BYTES], struct.unpack("<I", body[-FOOTER_BYTES:])
    if crc != _mask(payload):
        raise _damaged(stream, "the CRC of a record does not fit")
    return payload


def _damaged(stream: BinaryIO, what: str) -> DamagedError:
    name = getattr(stream, "name", "the stream")
    return DamagedError(
        f"{name} must be a whole TFRecord file, but {what}; write the artifact again.", what
    )

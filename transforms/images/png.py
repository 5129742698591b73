"""A PNG's chunks: which of them decide its pixels.

A chunk is *critical* or *ancillary*. Decoders of viewers discard an ancillary chunk that is damaged
or too large and show the image; Pillow refuses the file.
"""

import struct
import zlib
from collections.abc import Iterator

START = b"\x89PNG\r\n\x1a\n"

# Ancillary chunks from which pixels follow: transparency and EXIF (its orientation).
_TRANSPARENCY, _EXIF, _SIGNIFICANT_BITS = b"tRNS", b"eXIf", b"sBIT"
# The bytes of `tRNS` by color type; for a palette, one byte for each color.
_GREY, _COLOR, _PALETTE = 0, 2, 3
_TRANSPARENCY_BYTES = {_GREY: 2, _COLOR: 6}
# Length and name before a chunk's body, and its checksum behind it.
_HEAD, _AROUND = 8, 12
# Bit 5 of a name's first letter, which makes it small.
_ANCILLARY = 0x20


def strip_ancillary(data: bytes) -> bytes:
    """A PNG without the chunks that do not decide its pixels, and without bytes behind its end.

    Of `tRNS` and `eXIf` those with a right checksum stay. From the first byte on that cannot be
    parsed, the rest is copied.

    Args:
        data: bytes that begin with START.
    """
    kept = [START]
    position = len(START)
    color_type = data[25] if len(data) > 25 else 0
    for name, start, end in _chunks(data):
        if not name[0] & _ANCILLARY or _is_wanted(data, name, start, end, color_type):
            kept.append(data[start:end])
        position = end
        if name == b"IEND":
            return b"".join(kept)
    return b"".join([*kept, data[position:]])


def significant_bits(data: bytes) -> int | None:
    """The most bits that a sample has by the chunk `sBIT`, or None if the file does not say.

    Args:
        data: bytes that begin with START.
    """
    for name, start, end in _chunks(data):
        if name == _SIGNIFICANT_BITS and _is_whole(data, start, end):
            return max(data[start + _HEAD : end - 4], default=None)
        if name == b"IDAT":
            return None
    return None


def bit_depth(data: bytes) -> int:
    """Bits of a sample as they are stored, by the header.

    Args:
        data: bytes that begin with START.
    """
    return data[24] if len(data) > 24 else 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk that the file holds to its end."""
    position = len(START)
    while position + _AROUND <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + _AROUND + length
        if end > len(data):
            return
        yield data[position + 4 : position + _HEAD], position, end
        position = end


def _is_whole(data: bytes, start: int, end: int) -> bool:
    (checksum,) = struct.unpack_from(">I", data, end - 4)
    return zlib.crc32(memoryview(data)[start + 4 : end - 4]) == checksum


def _is_wanted(data: bytes, name: bytes, start: int, end: int, color_type: int) -> bool:
    if name not in (_TRANSPARENCY, _EXIF) or not _is_whole(data, start, end):
        return False
    length = end - start - _AROUND
    if name == _EXIF:
        return True
    if color_type == _PALETTE:
        return 0 < length <= 256
    return length == _TRANSPARENCY_BYTES.get(color_type)

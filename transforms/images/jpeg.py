"""Whether a JPEG's image data are complete: libjpeg only warns where they are not.

Both decoders of the project fill missing parts with grey and go on. Only simplejpeg reports
libjpeg's warnings, and only the first one; so segments that do not affect the image, and could
cause an earlier warning, are removed from the file before simplejpeg reads it.
"""

import re

import simplejpeg

START = b"\xff\xd8"

_TRUNCATED = "Premature end of JPEG file"
_DAMAGE = (_TRUNCATED, "Corrupt JPEG data", "Inconsistent progression sequence")
# Some cameras and programs write filler before the end. If the decoder went wrong, or the image is
# higher than its header says, far more bytes are left over, or the decoder has read filler as data.
_LEFT_OVER = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_FEW_LEFT_OVER = 32
# What is left over is filler up to this many bytes, or this share of the image data; if it has few
# different bytes, in any amount.
_MOST_LEFT_OVER, _LARGEST_SHARE, _LARGEST_SHARE_OF_SMALL = 512, 1 / 20, 1 / 4
_FEW_VALUES = 2
_BEFORE = 8

_SCAN, _END = 0xDA, 0xD9
_SEQUENTIAL = (0xC0, 0xC1)
# No length follows these markers, nor the zero that escapes 0xFF in the data.
_WITHOUT_LENGTH = (0x00, 0x01, *range(0xD0, 0xD8))
# APP0 to APP15, and a comment.
_METADATA = (*range(0xE0, 0xF0), 0xFE)
# A scan of a sequential JPEG has all frequencies; some encoders write other numbers.
_ALL_FREQUENCIES = b"\x00\x3f\x00"


def smaller(width: int, height: int, divisor: int) -> dict[str, int]:
    """Arguments by which simplejpeg decodes at a part of the size, which saves memory.

    Args:
        width: of the photo, in pixels.
        height: of the photo, in pixels.
        divisor: 1, 2, 4 or 8.
    """
    if divisor == 1:
        return {}
    return {"min_width": -(-width // divisor), "min_height": -(-height // divisor)}


def damage(data: bytes, **size: int) -> str:
    """The damage that libjpeg reports, or "".

    Also "" if libjpeg cannot decode the file at all, and for the few JPEGs that TurboJPEG does not
    support (unusual sampling factors), which cannot be checked.

    Args:
        data: the file's bytes; the caller has checked the image's size.
        **size: see `smaller`.
    """
    try:
        simplejpeg.decode_jpeg(checked := strip_metadata(data), "GRAY", **size)
    except Exception as error:  # noqa: BLE001 - errors that are not warnings are left to Pillow
        message = str(error)
        left_over = _LEFT_OVER.match(message)
        if left_over and _is_filler(checked, int(left_over[1])):
            return ""
        if message.startswith(_TRUNCATED):
            return "image file is truncated"
        return message if message.startswith(_DAMAGE) else ""
    return ""


def _is_filler(data: bytes, count: int) -> bool:
    """Whether the bytes between the image data and the end marker are none of the image.

    Args:
        data: what `strip_metadata` gives.
        count: of bytes that libjpeg had no use for.
    """
    if count <= _FEW_LEFT_OVER:
        return True
    scan = data.find(bytes([0xFF, _SCAN]))
    end = data.find(bytes([0xFF, _END]), scan)
    left_over = set(data[end - count : end])
    # A file whose rest was overwritten has the same filler before and behind the place where the
    # decoder had enough.
    if set(data[end - count - _BEFORE : end - count]) <= left_over and len(left_over) < _BEFORE:
        return False
    size = end - count - scan
    most = min(max(_MOST_LEFT_OVER, size * _LARGEST_SHARE), size * _LARGEST_SHARE_OF_SMALL)
    return len(left_over) <= _FEW_VALUES or count <= most


def strip_metadata(data: bytes) -> bytes:
    """A JPEG without metadata, comments and extra bytes between its header's segments.

    From the first byte that cannot be parsed on, the rest is copied. The result serves for checks
    only: its colors differ if a removed segment defines them.

    Args:
        data: bytes that begin with START.
    """
    kept = [START]
    position = len(START)
    sequential = False
    while True:
        marker = data.find(b"\xff", position)
        while marker >= 0 and data[marker + 1 : marker + 2] == b"\xff":
            marker += 1
        if marker < 0 or marker + 4 > len(data) or data[marker + 1] == _END:
            kept.append(data[max(marker, position) :])
            return b"".join(kept)
        kind = data[marker + 1]
        position = marker + 2
        if kind in _WITHOUT_LENGTH:
            continue
        position += max(int.from_bytes(data[position : position + 2], "big"), 2)
        segment = data[marker:position]
        sequential |= kind in _SEQUENTIAL
        if kind == _SCAN:
            if sequential:
                segment = segment[: -len(_ALL_FREQUENCIES)] + _ALL_FREQUENCIES
            return b"".join([*kept, segment, data[position:]])
        if kind not in _METADATA:
            kept.append(segment)

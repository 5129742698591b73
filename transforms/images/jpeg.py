"""Whether all of a JPEG's picture is there: libjpeg only warns where data of it are missing.

Both decoders of the project fill what is missing with grey and go on. What libjpeg warned of is
known through simplejpeg alone, and only the first warning; so what has nothing to do with the
picture is taken out of the file before it is asked.
"""

import re

import simplejpeg

START = b"\xff\xd8"

_TRUNCATED = "Premature end of JPEG file"
_DAMAGE = (_TRUNCATED, "Corrupt JPEG data", "Inconsistent progression sequence")
# Some cameras fill up the last bytes before the end. Behind a picture that lost its way, or is
# higher than its header says, far more is left over.
_LEFT_OVER = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_MOST_LEFT_OVER = 32

_SCAN, _END = 0xDA, 0xD9
_SEQUENTIAL = (0xC0, 0xC1)
# Behind these, and behind the zero that stands for 0xFF itself, no length follows.
_WITHOUT_LENGTH = (0x00, 0x01, *range(0xD0, 0xD8))
# APP0 to APP15, and a comment.
_NOT_OF_THE_PICTURE = (*range(0xE0, 0xF0), 0xFE)
# A scan of a sequential JPEG has all frequencies at once; some encoders write other numbers.
_ALL_FREQUENCIES = b"\x00\x3f\x00"


def damage(data: bytes) -> str:
    """What libjpeg says is wrong with the picture, or "".

    "" also where libjpeg cannot decode at all, and of the few JPEGs that TurboJPEG does not
    know (unusual sampling factors): these nobody can check.

    Args:
        data: the file's bytes, of a picture whose size was checked.
    """
    try:
        simplejpeg.decode_jpeg(photo_only(data), "GRAY")
    except Exception as error:  # noqa: BLE001 - what is no warning is the other decoder's affair
        told = str(error)
        left_over = _LEFT_OVER.match(told)
        if left_over and int(left_over[1]) <= _MOST_LEFT_OVER:
            return ""
        if told.startswith(_TRUNCATED):
            return "image file is truncated"
        return told if told.startswith(_DAMAGE) else ""
    return ""


def photo_only(data: bytes) -> bytes:
    """A JPEG without metadata, comments and stray bytes between its header's segments.

    Of what cannot be followed the rest stays as it is. The result is for checking: where the
    colors are told by a segment that is left out, they differ.

    Args:
        data: that begins with START.
    """
    kept = [START]
    position = len(START)
    sequential = False
    while True:
        mark = data.find(b"\xff", position)
        while mark >= 0 and data[mark + 1 : mark + 2] == b"\xff":
            mark += 1
        if mark < 0 or mark + 4 > len(data) or data[mark + 1] == _END:
            kept.append(data[max(mark, position) :])
            return b"".join(kept)
        kind = data[mark + 1]
        position = mark + 2
        if kind in _WITHOUT_LENGTH:
            continue
        position += max(int.from_bytes(data[position : position + 2], "big"), 2)
        segment = data[mark:position]
        sequential |= kind in _SEQUENTIAL
        if kind == _SCAN:
            if sequential:
                segment = segment[: -len(_ALL_FREQUENCIES)] + _ALL_FREQUENCIES
            return b"".join([*kept, segment, data[position:]])
        if kind not in _NOT_OF_THE_PICTURE:
            kept.append(segment)

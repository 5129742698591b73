"""JPEGs that libjpeg decodes only in part, with the rest grey."""

import io

import numpy as np
import pytest
from PIL import Image

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images import jpeg
from facemill.transforms.images.decode import DecodeError, decode

FACE = Image.fromarray(render(1, 1, 1, 250))
END = b"\xff\xd9"


def saved(image: Image.Image = FACE, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags.tobytes()


KINDS = {
    "plain": saved(),
    "progressive": saved(progressive=True),
    "grey": saved(FACE.convert("L")),
    "CMYK": saved(FACE.convert("CMYK")),
    "RGB": saved(keep_rgb=True),
    "with EXIF": saved(exif=exif()),
    "with restarts": saved(restart_marker_rows=1),
}


def frame_of(data: bytes) -> int:
    return max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))


def with_height(data: bytes, factor: float) -> bytes:
    position = frame_of(data) + 5
    height = int(int.from_bytes(data[position : position + 2], "big") * factor)
    return data[:position] + height.to_bytes(2, "big") + data[position + 2 :]


def middle_zeroed(data: bytes) -> bytes:
    scan = data.index(b"\xff\xda")
    middle = scan + (len(data) - scan) // 2
    half = min(1500, (len(data) - scan) // 4)
    return data[: middle - half] + bytes(2 * half) + data[middle + half :]


def cut(share: float, then: bytes = END):
    return lambda data: data[: int(len(data) * share)] + then


DAMAGES = {
    "cut at 30 %, ended": cut(0.3),
    "cut at 50 %, ended": cut(0.5),
    "cut at 80 %, ended": cut(0.8),
    "cut at 50 %": cut(0.5, b""),
    "zeros to the end": lambda data: cut(0.5, bytes(len(data) // 2))(data)[:-2] + END,
    "zeros in the middle": middle_zeroed,
    "twice as high": lambda data: with_height(data, 2),
    "half as high": lambda data: with_height(data, 0.5),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_incomplete_jpeg_is_refused(kind, damage):
    assert decode(KINDS[kind]).pixels.shape == (250, 250, 3)
    with pytest.raises(DecodeError, match="damaged image: "):
        decode(DAMAGES[damage](KINDS[kind]))


@pytest.mark.parametrize("damage", ["cut at 50 %, ended", "zeros in the middle"])
@pytest.mark.parametrize("kind", ["plain", "CMYK", "with EXIF"])
def test_damage_after_the_first_libjpeg_warning_is_found(kind, damage):
    # simplejpeg reports only the first warning, and these come before the image data.
    data = odd_revision(odd_scan(DAMAGES[damage](KINDS[kind])))
    with pytest.raises(DecodeError, match="damaged image: "):
        decode(data)


def odd_revision(data: bytes) -> bytes:
    position = data.find(b"JFIF\0")
    return data if position < 0 else data[: position + 5] + b"\x07" + data[position + 6 :]


def odd_scan(data: bytes) -> bytes:
    """Sets the frequencies in the header of the scan to zeros, as some phones do."""
    scan = data.index(b"\xff\xda")
    end = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    return data[: end - 3] + b"\0\0\0" + data[end:]


def extra_bytes(data: bytes) -> bytes:
    scan = data.index(b"\xff\xda")
    return data[:scan] + b"stray" + data[scan:]


HARMLESS = {
    "bytes behind the end": lambda data: data + b"hello" * 300,
    "zeros behind the end": lambda data: data + bytes(4096),
    "another behind the end": lambda data: data + data,
    "filled up before the end": lambda data: data[:-2] + bytes(16) + END,
    "extra bytes in the header": extra_bytes,
    "a comment": lambda data: data[:2] + b"\xff\xfe\x00\x06face" + data[2:],
    "more than one FF before a marker": lambda data: data.replace(
        b"\xff\xdb", b"\xff" * 3 + b"\xdb"
    ),
    "unknown revision": odd_revision,
}


@pytest.mark.parametrize("oddity", HARMLESS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_unusual_but_complete_jpeg_is_read(kind, oddity):
    data = HARMLESS[oddity](KINDS[kind])
    assert np.array_equal(decode(data).pixels, decode(KINDS[kind]).pixels)


@pytest.mark.parametrize("kind", ["plain", "CMYK", "with EXIF"])
def test_a_scan_without_frequencies_is_read(kind):
    assert np.array_equal(decode(odd_scan(KINDS[kind])).pixels, decode(KINDS[kind]).pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_strip_metadata_keeps_only_segments_that_affect_the_image(kind):
    data = KINDS[kind]
    stripped = jpeg.strip_metadata(extra_bytes(data))
    assert stripped == jpeg.strip_metadata(data)
    assert b"JFIF" not in stripped
    assert b"Adobe" not in stripped
    assert b"Exif" not in stripped
    assert stripped.endswith(data[data.index(b"\xff\xda") :])


@pytest.mark.parametrize("length", range(0, 700, 13))
def test_a_truncated_header_raises_no_error(length):
    for data in KINDS.values():
        assert jpeg.strip_metadata(jpeg.START + data[2:length]).startswith(jpeg.START)
        assert isinstance(jpeg.damage(data[:length]), str)


def with_filler(data: bytes, filler: bytes) -> bytes:
    return data[:-2] + filler + END


FILLERS = {
    "33 bytes": bytes(range(1, 34)),
    "239 times one byte": b"\x55" * 239,
    "text": b"0123456789 written by a camera " * 12,
    "many zeros": bytes(20_000),
    "random": np.random.default_rng(3).integers(0, 255, 300, dtype=np.uint8).tobytes(),
    "fill bytes": b"\xff" * 700,
}


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("kind", KINDS)
def test_filler_before_the_end_marker_does_no_harm(kind, filler):
    data = KINDS[kind]
    found = decode(with_filler(data, FILLERS[filler]))
    np.testing.assert_array_equal(found.pixels, decode(data).pixels)


@pytest.mark.parametrize("amount", [1, 500, 100_000])
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_behind_the_end_marker_do_no_harm(kind, amount):
    data = KINDS[kind] + bytes(amount)
    np.testing.assert_array_equal(decode(data).pixels, decode(KINDS[kind]).pixels)

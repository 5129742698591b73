"""PNGs whose pixels are whole and whose other chunks are not."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images import png
from facemill.transforms.images.decode import DecodeError, decode

FACE = render(1, 1, 1, 48)
# Signature and IHDR.
BEFORE = 33
ANCILLARY = (
    *(b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD"),
    *(b"hIST", b"sPLT", b"sBIT", b"eXIf", b"tRNS", b"acTL", b"fcTL", b"vpAg"),
)


def saved(image: Image.Image, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


WHOLE = saved(Image.fromarray(FACE))


def chunk(name: bytes, body: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(name + body)
    return (
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", right if checksum is None else checksum)
    )


def with_chunk(extra: bytes, at: int = BEFORE) -> bytes:
    return WHOLE[:at] + extra + WHOLE[at:]


@pytest.mark.parametrize("at", [BEFORE, len(WHOLE) - 12], ids=["before the pixels", "behind them"])
@pytest.mark.parametrize("name", ANCILLARY)
def test_an_ancillary_chunk_with_a_wrong_checksum_is_no_damage(name, at):
    found = decode(with_chunk(chunk(name, b"Comment\0hello", 1), at))
    np.testing.assert_array_equal(found.pixels, FACE)


@given(
    st.sampled_from(ANCILLARY),
    st.binary(max_size=40),
    st.sampled_from([BEFORE, len(WHOLE) - 12]),
)
def test_no_contents_of_an_ancillary_chunk_are_damage(name, body, at):
    if name == b"tRNS" and len(body) == 6:
        body = body[:5]
    pixels = decode(with_chunk(chunk(name, body), at)).pixels
    # Valid EXIF by chance may turn it.
    assert name == b"eXIf" or np.array_equal(pixels, FACE)


def test_large_texts_and_profiles_are_no_damage():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("workflow", "x" * 1_200_000, zip=True)
    texts.add_itxt("more", "y" * 1_200_000, zip=True)
    for _ in range(80):
        texts.add_text("plain", "z" * 1_000_000)
    data = saved(Image.fromarray(FACE), pnginfo=texts, icc_profile=bytes(1_500_000))
    np.testing.assert_array_equal(decode(data).pixels, FACE)


def test_damaged_pixels_are_damage_still():
    start = WHOLE.index(b"IDAT") + 4
    middle = (start + len(WHOLE) - 12) // 2
    data = WHOLE[:middle] + bytes(20) + WHOLE[middle + 20 :]
    with pytest.raises(DecodeError, match="damaged image"):
        decode(data)


def test_a_header_with_a_wrong_checksum_is_damage():
    with pytest.raises(DecodeError):
        decode(WHOLE[: BEFORE - 1] + b"\x00" + WHOLE[BEFORE:])


def test_only_chunks_that_decide_pixels_remain():
    exif = Image.Exif()
    exif[0x0112] = 6
    texts = PngImagePlugin.PngInfo()
    texts.add_text("a", "b")
    data = saved(
        Image.fromarray(FACE), exif=exif, pnginfo=texts, icc_profile=b"x", transparency=(1, 2, 3)
    )
    names = []
    stripped, position = png.strip_ancillary(data + b"behind"), 8
    while position < len(stripped):
        names.append(stripped[position + 4 : position + 8])
        position += 12 + int.from_bytes(stripped[position : position + 4], "big")
    assert names == [b"IHDR", b"tRNS", b"eXIf", b"IDAT", b"IEND"]
    assert decode(data).pixels.shape == (48, 48, 3)


def test_significant_bits_are_those_of_a_whole_chunk():
    assert png.significant_bits(WHOLE) is None
    assert png.significant_bits(with_chunk(chunk(b"sBIT", b"\x0a\x0c\x0a"))) == 12
    assert png.significant_bits(with_chunk(chunk(b"sBIT", b"\x0c\x0c\x0c", 7))) is None


@given(st.binary(max_size=200))
def test_bytes_that_are_no_chunks_are_kept(rest):
    assert png.strip_ancillary(png.START + rest)[:8] == png.START
    png.significant_bits(png.START + rest)

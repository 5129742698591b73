"""Samples of 8 to 16 bits in words of 16, as cameras write them."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images.decode import decode
from facemill.transforms.images.samples import bits_in_use, to_bytes

FACE = render(1, 1, 1, 48)
GREY = cv2.cvtColor(FACE, cv2.COLOR_RGB2GRAY)
assert GREY.max() > 130


def encoded(samples: np.ndarray, form: str) -> bytes:
    """By OpenCV, which writes samples as they are; RGB."""
    ordered = samples[:, :, ::-1] if samples.ndim == 3 else samples
    return cv2.imencode(form, np.ascontiguousarray(ordered))[1].tobytes()


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("form", [".png", ".tiff", ".pgm"])
def test_grey_samples_are_scaled_by_the_bits_in_use(form, bits):
    pixels = decode(encoded(GREY.astype(np.uint16) << (bits - 8), form)).pixels
    np.testing.assert_array_equal(pixels, np.repeat(GREY[:, :, None], 3, axis=2))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("form", [".png", ".tiff", ".ppm"])
def test_color_samples_are_scaled_by_the_bits_in_use(form, bits):
    pixels = decode(encoded(FACE.astype(np.uint16) << (bits - 8), form)).pixels
    # Of PPM Pillow rounds samples that use all bits.
    assert np.abs(pixels.astype(int) - FACE).max() <= (form == ".ppm" and bits == 16)


def test_color_and_alpha_are_scaled_each_by_its_own_bits():
    samples = np.dstack([FACE[:, :, ::-1].astype(np.uint16) * 16, np.full((48, 48), 65535)])
    data = cv2.imencode(".png", samples.astype(np.uint16))[1].tobytes()
    np.testing.assert_array_equal(decode(data).pixels, FACE)


@pytest.mark.parametrize("stated", [12, 14])
def test_a_png_states_its_bits(stated):
    data = encoded(GREY.astype(np.uint16) << (stated - 8), ".png")
    body = b"sBIT" + bytes([stated])
    extra = struct.pack(">I", 1) + body + struct.pack(">I", zlib.crc32(body))
    pixels = decode(data[:33] + extra + data[33:]).pixels
    np.testing.assert_array_equal(pixels[:, :, 0], GREY)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_states_its_largest_sample_and_which_is_white(order):
    samples = GREY.astype(np.uint16) << 6
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = (1 << 14) - 1
    stream = io.BytesIO()
    mode = "I;16" if order == "<" else "I;16B"
    image = Image.frombytes(mode, (48, 48), samples.astype(f"{order}u2").tobytes())
    image.save(stream, "TIFF", tiffinfo=tags)
    np.testing.assert_array_equal(decode(stream.getvalue()).pixels[:, :, 0], GREY)


def test_a_pgm_states_its_largest_sample():
    dark = GREY.astype(np.uint16) // 16
    data = b"P5 48 48 4095\n" + dark.astype(">u2").tobytes()
    # Its white is 4095, so it is dark, although 8 bits would hold its samples.
    assert decode(data).pixels.max() <= 1
    bright = GREY.astype(np.uint16) * 16
    pixels = decode(b"P5 48 48 4095\n" + bright.astype(">u2").tobytes()).pixels
    assert np.abs(pixels[:, :, 0].astype(int) - GREY).max() <= 1


def tiff_of_white_is_zero(samples: np.ndarray) -> bytes:
    body = samples.astype("<u2").tobytes()
    entries = [
        *((256, 48), (257, 48), (258, 16), (259, 1), (262, 0)),
        *((273, 8), (277, 1), (278, 48), (279, len(body))),
    ]
    folder = struct.pack("<H", len(entries))
    for tag, value in entries:
        folder += struct.pack("<HHII", tag, 4, 1, value)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + folder + bytes(4)


@pytest.mark.parametrize("bits", [12, 16])
def test_a_tiff_of_16_bits_whose_white_is_zero_is_no_negative(bits):
    inverted = (255 - GREY).astype(np.uint16) << (bits - 8)
    np.testing.assert_array_equal(decode(tiff_of_white_is_zero(inverted)).pixels[:, :, 0], GREY)


@given(st.integers(0, 65535), st.one_of(st.none(), st.integers(0, 255)))
def test_bits_in_use_hold_the_brightest_sample(brightest, stated):
    bits = bits_in_use(brightest, stated)
    assert 8 <= bits <= 16
    assert brightest < 1 << bits
    assert to_bytes(np.array([brightest]), bits)[0] == brightest >> (bits - 8)
    if brightest >= 4096 and stated is None:
        assert bits == 16
    if stated is not None and 8 <= stated < 16 and brightest < 1 << stated:
        assert bits == stated

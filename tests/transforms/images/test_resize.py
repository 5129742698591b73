import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images.decode import decode
from facemill.transforms.images.resize import center_square, crop_box, encode_jpeg, resize_to_square

sides = st.integers(1, 5000)


@given(sides, sides, st.floats(0.01, 1))
@settings(deadline=None, max_examples=200)
def test_the_crop_is_a_centered_square_inside(width, height, fraction):
    left, top, side = crop_box(width, height, fraction)
    assert 1 <= side <= min(width, height)
    assert abs(side - fraction * min(width, height)) <= 1
    for start, whole in ((left, width), (top, height)):
        assert start >= 0
        assert 0 <= (whole - side - start) - start <= 1


def test_with_fraction_1_the_crop_has_the_shorter_side():
    assert crop_box(250, 250, 1.0) == (0, 0, 250)
    assert crop_box(300, 200, 1.0) == (50, 0, 200)
    assert crop_box(200, 301, 0.5) == (50, 100, 100)


def test_an_image_of_the_right_size_is_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert np.array_equal(center_square(pixels, 48, 1.0), pixels[:, 8:56])


def test_shrinking_averages_areas():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    means = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(center_square(pixels, 16, 1.0) - means).max() <= 0.5 + 1e-6


def test_enlarging_interpolates():
    ramp = np.repeat(np.arange(0, 256, 16, dtype=np.uint8)[None, :, None], 16, 0)
    larger = center_square(np.repeat(ramp, 3, 2), 64, 1.0)
    assert larger.shape == (64, 64, 3)
    steps = np.diff(larger[0, :, 0].astype(int))
    assert steps.min() >= 0
    assert steps.max() <= 5


@given(st.integers(16, 80), st.integers(16, 80), st.integers(16, 64), st.floats(0.2, 1))
@settings(deadline=None, max_examples=40)
def test_every_image_comes_out_square(width, height, size, fraction):
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    for crop in (center_square(pixels, size, fraction), resize_to_square(pixels, size)):
        assert crop.shape == (size, size, 3)
        assert crop.dtype == np.uint8
        assert crop.flags.c_contiguous
        assert decode(encode_jpeg(crop)).pixels.shape == (size, size, 3)


def test_the_jpeg_is_full_chroma_and_close_to_its_pixels():
    pixels = render(1, 1, 1, 112)
    encoded = encode_jpeg(pixels)
    assert encoded == encode_jpeg(pixels.copy())
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.format == "JPEG"
        # (horizontal, vertical) sampling factors: equal for all three components.
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}
        assert not image.getexif()
        difference = np.abs(np.asarray(image).astype(int) - pixels)
    assert difference.mean() < 3.5


def test_the_jpeg_keeps_the_order_of_the_channels():
    red = np.zeros((32, 32, 3), np.uint8)
    red[:, :, 0] = 200
    decoded = decode(encode_jpeg(red)).pixels
    assert decoded.reshape(-1, 3).mean(0) == pytest.approx([200, 0, 0], abs=3)

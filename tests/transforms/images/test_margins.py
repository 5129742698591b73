import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images.decode import decode
from facemill.transforms.images.margins import flat_margins

NOISE = np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)


def padded(pixels: np.ndarray, sides: tuple[int, int, int, int], color) -> np.ndarray:
    top, bottom, left, right = sides
    height, width = pixels.shape[:2]
    result = np.empty((height + top + bottom, width + left + right, 3), np.uint8)
    result[:] = color
    result[top : top + height, left : left + width] = pixels
    return result


@given(st.tuples(*[st.integers(0, 20)] * 4), st.tuples(*[st.integers(0, 255)] * 3))
def test_the_share_is_that_of_the_border(sides, color):
    image = padded(NOISE, sides, color)
    expected = 1 - NOISE[:, :, 0].size / image[:, :, 0].size
    assert flat_margins(image) == pytest.approx(expected)


def test_a_border_around_bars_is_found_with_them():
    barred = padded(NOISE, (8, 8, 0, 0), (0, 0, 0))
    image = padded(barred, (5, 5, 5, 5), (255, 255, 255))
    expected = 1 - NOISE[:, :, 0].size / image[:, :, 0].size
    assert flat_margins(image) == pytest.approx(expected)


def test_the_border_of_a_jpeg_is_found():
    face = render(1, 1, 1, 112)
    stream = io.BytesIO()
    Image.fromarray(padded(face, (16, 16, 16, 16), (255, 255, 255))).save(stream, "JPEG")
    found = flat_margins(decode(stream.getvalue()).pixels)
    assert found == pytest.approx(1 - (112 / 144) ** 2, abs=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (40, 40, 3)])
def test_a_flat_image_has_no_margin(shape):
    assert flat_margins(np.full(shape, 7, np.uint8)) == 0

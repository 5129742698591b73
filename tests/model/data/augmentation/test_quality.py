import io

import cv2
import numpy as np
import pytest
from PIL import Image

from facemill.model.data.augmentation import quality

IMAGES = np.random.default_rng(4).integers(0, 256, (2, 24, 24, 3)).astype(np.float32)


def of(*values: float, dtype: type = np.float32) -> np.ndarray:
    return np.array(values, dtype)


def test_blur_is_that_of_opencv_inside():
    blurred = quality.blur(IMAGES, of(1.5, 0.0)).numpy()
    expected = cv2.GaussianBlur(IMAGES[0], (19, 19), 1.5)
    np.testing.assert_allclose(blurred[0, 8:-8, 8:-8], expected[8:-8, 8:-8], atol=0.05)
    np.testing.assert_allclose(blurred[1], IMAGES[1], atol=1e-3)
    grey = np.full((1, 6, 6, 3), 9, np.float32)
    np.testing.assert_allclose(quality.blur(grey, of(3.0)), grey, rtol=1e-5)


@pytest.mark.parametrize("side", [1, 6, 10, 17])
def test_low_resolution_is_that_of_opencv(side):
    low = quality.low_resolution(IMAGES, of(side / 24, 1.0)).numpy()
    small = cv2.resize(IMAGES[0], (side, side), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(small, (24, 24), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(low[0], expected, atol=0.1)
    np.testing.assert_allclose(low[1], IMAGES[1], atol=1e-3)


def test_jpeg_compresses_as_others_do_and_leaves_100_alone():
    smooth = np.asarray(quality.blur(IMAGES, of(2.0, 2.0)))
    out = quality.jpeg(smooth, of(30, 100, dtype=np.int32)).numpy()
    np.testing.assert_array_equal(out[1], smooth[1])
    stream = io.BytesIO()
    Image.fromarray(np.rint(smooth[0]).astype(np.uint8)).save(stream, "JPEG", quality=30)
    expected = np.asarray(Image.open(stream), np.float32)
    assert np.abs(out[0] - expected).mean() < 1.0
    assert np.abs(out[0] - smooth[0]).mean() > 1.0

import math

import cv2
import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images.quality import (
    Quality,
    QualityThresholds,
    colorfulness,
    measure,
)

STRIPES = np.tile(np.array([0, 255], np.uint8), (32, 16))[:, :, None].repeat(3, axis=2)


def test_measures_equal_those_of_the_grey_crop():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
    found = measure(pixels)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(float)
    assert np.abs(grey - pixels @ [0.299, 0.587, 0.114]).max() < 1
    assert found.brightness == pytest.approx(grey.mean())
    assert found.contrast == pytest.approx(grey.std())
    # The Laplacian of the inner pixels; at the border OpenCV mirrors.
    wide = np.pad(grey, 1, mode="reflect")
    around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    assert found.sharpness == pytest.approx((around - 4 * grey).var(), rel=1e-5)


def test_measures_of_flat_striped_and_blurred_images():
    flat = measure(np.full((32, 32, 3), 100, np.uint8))
    assert (flat.sharpness, flat.brightness, flat.contrast) == (0, 100, 0)
    stripes = measure(STRIPES)
    assert stripes.contrast == pytest.approx(127.5)
    assert stripes.brightness == pytest.approx(127.5)
    blurred = measure(cv2.GaussianBlur(STRIPES, (5, 5), 2))
    assert blurred.sharpness < stripes.sharpness / 10


@pytest.mark.parametrize(
    ("thresholds", "reason"),
    [
        (QualityThresholds(), None),
        (QualityThresholds(sharpness=20, contrast=30, brightness=(100, 100)), None),
        (QualityThresholds(sharpness=20.5), "sharpness is below 20.5"),
        (QualityThresholds(contrast=31), "contrast is below 31"),
        (QualityThresholds(brightness=(101, 255)), "brightness is below 101"),
        (QualityThresholds(brightness=(0, 99)), "brightness is above 99"),
        # Only the first missed threshold is named.
        (QualityThresholds(sharpness=math.inf, contrast=math.inf), "sharpness is below inf"),
    ],
)
def test_the_reason_names_the_threshold_that_was_missed(thresholds, reason):
    assert thresholds.why_rejected(Quality(sharpness=20, brightness=100, contrast=30)) == reason


def test_colorfulness_is_zero_for_grey_and_grows_with_saturation():
    color = render(1, 2, 3, 96)
    grey = np.repeat(cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    pale = (0.5 * color + 0.5 * grey).astype(np.uint8)
    assert colorfulness(grey) == 0
    assert 0.4 < colorfulness(pale) / colorfulness(color) < 0.6
    assert colorfulness(color) > 8

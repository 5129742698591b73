import colorsys

import numpy as np
import pytest

from facemill.model.data.augmentation import color

IMAGES = np.random.default_rng(3).uniform(60, 180, (2, 4, 4, 3)).astype(np.float32)
LUMA = np.array([0.299, 0.587, 0.114])


def change(turn: float, saturation: float) -> np.ndarray:
    both = (np.full(2, value, np.float32) for value in (turn, saturation))
    return color.hue_and_saturation(IMAGES, *both).numpy()


def test_without_a_change_the_colors_stay():
    np.testing.assert_allclose(change(0.0, 1.0), IMAGES, atol=1e-3)


def test_saturation_0_gives_the_luma():
    grey = change(0.0, 0.0)
    assert np.ptp(grey, axis=-1).max() < 0.2
    np.testing.assert_allclose(grey[..., 0], IMAGES @ LUMA, atol=0.2)


@pytest.mark.parametrize(("turn", "saturation"), [(0.3, 1.0), (-0.1, 0.6), (0.0, 1.5)])
def test_the_luma_stays(turn, saturation):
    np.testing.assert_allclose(change(turn, saturation) @ LUMA, IMAGES @ LUMA, atol=0.2)


def test_a_turn_moves_every_hue_the_same_way():
    def hues(images: np.ndarray) -> np.ndarray:
        return np.array([colorsys.rgb_to_hsv(*row)[0] for row in images.reshape(-1, 3) / 255])

    moved = (hues(change(0.1, 1.0)) - hues(IMAGES) + 0.5) % 1 - 0.5
    assert len({bool(sign) for sign in moved > 0}) == 1
    # A circle of YIQ is no circle of HSV: the turns agree roughly.
    assert 0.02 < np.abs(moved).min() <= np.abs(moved).max() < 0.25

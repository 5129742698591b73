import collections

import numpy as np
import pytest

from facemill.model.data.augmentation import rand_augment

COUNT = len(rand_augment.OPERATIONS)
IMAGES = np.random.default_rng(5).integers(0, 256, (COUNT, 16, 16, 3)).astype(np.float32)


def numbers(detail: float = 0.7) -> np.ndarray:
    """One image for each operation."""
    rows = np.full((COUNT, 7), detail, np.float32)
    rows[:, 0] = (np.arange(COUNT) + 0.5) / COUNT
    return rows


def test_every_operation_has_the_same_chance():
    drawn = rand_augment.chosen(np.random.default_rng(6).random(11_000, np.float32)).numpy()
    counted = collections.Counter(drawn.tolist())
    assert set(counted) == set(range(COUNT))
    assert 850 < min(counted.values()) <= max(counted.values()) < 1150


@pytest.mark.moderate
@pytest.mark.parametrize("detail", [0.2, 0.7])
def test_each_operation_changes_its_image_by_more_at_a_larger_magnitude(detail):
    def change(magnitude: float) -> np.ndarray:
        out = rand_augment.apply_one(IMAGES, magnitude, numbers(detail)).numpy()
        assert out.min() >= 0
        assert out.max() <= 255
        return np.abs(out - IMAGES).mean(axis=(1, 2, 3))

    names = list(rand_augment.OPERATIONS)
    weak, strong = (dict(zip(names, change(one), strict=True)) for one in (2.0, 10.0))
    assert weak.pop("identity") == strong.pop("identity") == 0
    assert all(strong[name] > 0 for name in strong)
    # Pixels of noise are as wrong after a small turn as after a large one.
    for name in ("brightness", "contrast", "saturation", "hue", "blur", "jpeg", "erase"):
        assert strong[name] > weak[name]

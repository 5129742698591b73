import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data.augmentation import draws as random_numbers
from facemill.model.data.augmentation.augment import augment
from facemill.model.recipes.recipe import Recipe

NOTHING = {"flip": False, "crop": 0.0, "color_jitter": 0.0, "erase": 0.0}
# Each operation alone, and all of them.
OPERATIONS = {
    "flip": {"flip": True},
    "crop": {"crop": 0.3},
    "color_jitter": {"color_jitter": 0.4},
    "erase": {"erase": 1.0},
    "rotate": {"rotate": 20.0},
    "hue": {"hue": 0.2},
    "saturation": {"saturation": 0.5},
    "grayscale": {"grayscale": 0.5},
    "blur": {"blur": 2.0},
    "low_resolution": {"low_resolution": 0.7},
    "jpeg_quality": {"jpeg_quality": 10},
    "rand_augment": {"rand_augment": 2, "rand_augment_magnitude": 8.0},
    # Without JPEG, which rounds: a difference in the last bit can become one of a grey level.
    "all": {
        "flip": True, "crop": 0.3, "color_jitter": 0.4, "erase": 0.5, "rotate": 9.0, "hue": 0.1,
        "blur": 1.0, "low_resolution": 0.5,
    },
}  # fmt: skip
SEED = 7


def pixels(count: int = 16, size: int = 24) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), np.uint8)


def draws(count: int, recipe: Recipe, seed: int = SEED) -> tf.Tensor:
    return tf.random.stateless_uniform([count, random_numbers.count(recipe)], (seed, 11))


def changed(images: np.ndarray, seed: int = SEED, **operation) -> np.ndarray:
    recipe = Recipe(**{**NOTHING, **operation})
    return augment(tf.constant(images), recipe, draws(len(images), recipe, seed)).numpy()


@pytest.mark.moderate
@pytest.mark.parametrize("name", OPERATIONS)
def test_pixels_are_the_same_eagerly_and_inside_tf_data(name):
    images, recipe = pixels(), Recipe(**{**NOTHING, **OPERATIONS[name]})
    eager = changed(images, **OPERATIONS[name])
    dataset = tf.data.Dataset.from_tensors((images, draws(len(images), recipe))).map(
        lambda some, drawn: augment(some, recipe, drawn)
    )
    (inside,) = [batch.numpy() for batch in dataset]
    np.testing.assert_allclose(inside, eager, atol=1e-3)


@pytest.mark.moderate
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_result_follows_from_the_random_numbers_alone(name):
    images = pixels()
    first = changed(images, **OPERATIONS[name])
    np.testing.assert_array_equal(changed(images, **OPERATIONS[name]), first)
    assert not np.array_equal(changed(images, SEED + 1, **OPERATIONS[name]), first)
    # An image's result does not depend on its neighbors in the batch.
    recipe = Recipe(**{**NOTHING, **OPERATIONS[name]})
    some = augment(tf.constant(images[10:]), recipe, draws(len(images), recipe)[10:])
    np.testing.assert_allclose(some, first[10:], atol=1e-3)


@pytest.mark.parametrize("name", OPERATIONS)
def test_shape_and_range_of_the_result(name):
    out = changed(pixels(), **OPERATIONS[name])
    assert out.shape == (16, 24, 24, 3)
    assert out.dtype == np.float32
    assert out.min() >= 0
    assert out.max() <= 255
    assert not np.array_equal(out, pixels())


def test_without_any_operation_the_pixels_are_unchanged():
    np.testing.assert_array_equal(changed(pixels()), pixels())


def test_flip_gives_the_mirror_image_of_about_half():
    images = pixels(256)
    out = changed(images, flip=True)
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(out, images, strict=True)])
    same = np.array([np.array_equal(a, b) for a, b in zip(out, images, strict=True)])
    assert np.all(mirrored ^ same)
    # 256 fair coins lie outside of this with a probability below 1e-6.
    assert 85 < mirrored.sum() < 171


def test_crop_enlarges_one_part_of_the_image_without_distortion():
    # Two ramps, so that the value of a pixel is its position in the original image.
    size = 51
    ramp = np.arange(size, dtype=np.uint8) * 5
    down, right = np.meshgrid(ramp, ramp, indexing="ij")
    images = np.repeat(np.stack([down, right, down], axis=-1)[np.newaxis], 200, axis=0)
    out = changed(images, crop=0.3) / 5
    for axis, channel in ((1, 0), (2, 1)):
        positions = np.moveaxis(out[..., channel], axis, 1)[:, :, 0]
        first, last = positions[:, 0], positions[:, -1]
        assert np.all(first >= -1e-3)
        assert np.all(last <= size - 1 + 1e-3)
        sides = (last - first) / (size - 1)
        assert sides.min() >= 0.7 - 1e-4
        assert sides.min() < 0.75
        assert sides.max() > 0.95
        assert first.max() > 5
        # Evenly spaced positions: no distortion.
        assert np.ptp(np.diff(positions, axis=1), axis=1).max() < 1e-3
    # The image stays square.
    height, width = out[:, -1, 0, 0] - out[:, 0, 0, 0], out[:, 0, -1, 1] - out[:, 0, 0, 1]
    np.testing.assert_allclose(height, width, atol=1e-2)


@pytest.mark.parametrize("flip", [False, True])
def test_a_crop_that_ends_at_the_border_does_not_reach_past_it(flip):
    # So small a crop puts every edge within a rounding error of the border; beyond it is black.
    white = np.full((1024, 24, 24, 3), 255, np.uint8)
    assert changed(white, crop=1e-6, flip=flip).min() > 254.9


def test_color_jitter_scales_brightness_contrast_and_color_within_its_strength():
    grey = np.full((500, 4, 4, 3), 100, np.uint8)
    out = changed(grey, color_jitter=0.2)
    # A grey image has no contrast: gain and color alone are seen, the same in each pixel.
    np.testing.assert_allclose(out, np.broadcast_to(out[:, :1, :1], out.shape), rtol=1e-5)
    factor = out[:, 0, 0] / 100
    assert factor.min() >= 0.8 * 0.95 - 1e-5
    assert factor.max() <= 1.2 * 1.05 + 1e-5
    assert factor.min() < 0.85
    assert factor.max() > 1.15
    spread = factor.max(axis=1) / factor.min(axis=1)
    assert 1.02 < spread.max() <= 1.05 / 0.95 + 1e-5


def test_color_jitter_changes_the_contrast_about_the_mean():
    images = np.zeros((300, 2, 2, 3), np.uint8)
    images[:, 0], images[:, 1] = 110, 130
    out = changed(images, color_jitter=0.2)
    ratio = (out[:, 1] - out[:, 0]) / (out[:, 1] + out[:, 0]) / (20 / 240)
    assert ratio.min() >= 0.8 - 1e-3
    assert ratio.max() <= 1.2 + 1e-3
    assert ratio.min() < 0.85
    assert ratio.max() > 1.15


def test_erase_with_probability_0_and_1():
    images = pixels()
    np.testing.assert_array_equal(changed(images, erase=1e-30), images)
    out = changed(images, erase=1.0)
    for before, after in zip(images.astype(np.float32), out, strict=True):
        differs = np.any(before != after, axis=-1)
        rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
        box = after[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        # One full rectangle of one grey; everything else is as it was.
        assert np.ptp(box) == 0
        for side in box.shape[:2]:
            assert 0.15 * 24 - 1 <= side <= 0.45 * 24 + 1


def test_erase_hits_its_share_of_the_images():
    images = pixels(400)
    hit = np.any(changed(images, erase=0.3) != images, axis=(1, 2, 3)).sum()
    assert 75 < hit < 165

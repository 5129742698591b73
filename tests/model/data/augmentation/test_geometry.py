import numpy as np

from facemill.model.data.augmentation import geometry


def test_a_quarter_turn_is_exact_and_clockwise():
    images = np.random.default_rng(2).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    turned = geometry.rotate(images, np.array([90.0, 0.0], np.float32)).numpy()
    np.testing.assert_allclose(turned[0], np.rot90(images[0], -1), atol=1e-2)
    np.testing.assert_array_equal(turned[1], images[1])


def test_a_rotation_continues_the_border():
    grey = np.full((1, 9, 9, 3), 77, np.float32)
    turned = geometry.rotate(grey, np.array([33.0], np.float32))
    np.testing.assert_allclose(turned, grey, rtol=1e-6)

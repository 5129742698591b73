import keras
import numpy as np
import pytest

from facemill.model.networks import compact, cost

# Multiply-adds of the convolutions and dense layers of the published MobileFaceNet.tflite, of 112
# pixels and 192 dimensions.
TEACHER = 234_105_344


@pytest.mark.moderate
@pytest.mark.parametrize("size", [32, 45, 112])
def test_the_network_accepts_several_image_sizes(size):
    images = np.zeros((2, size, size, 3), np.float32)
    assert compact.build(size, 24, 0.0)(images).shape == (2, 24)


def test_it_takes_about_a_tenth_of_the_operations_of_mobilefacenet():
    assert 0.09 * TEACHER < cost.of(compact.build(112, 192, 0.0)).multiply_adds < 0.11 * TEACHER


def test_112_pixels_are_averaged_and_stages_halve_the_map():
    network = compact.build(112, 24, 0.1)
    adds = [layer for layer in network.layers if isinstance(layer, keras.layers.Add)]
    assert [layer.output.shape[1:] for layer in adds] == [
        (28, 28, 16),
        (14, 14, 32),
        (7, 7, 64),
        (7, 7, 64),
        (4, 4, 128),
    ]
    assert any(isinstance(layer, keras.layers.Dropout) for layer in network.layers)

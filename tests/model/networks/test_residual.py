import keras
import numpy as np
import pytest

from facemill.model.networks import residual


@pytest.mark.moderate
@pytest.mark.parametrize("size", [32, 45, 64])
def test_the_network_accepts_several_image_sizes(size):
    images = np.zeros((2, size, size, 3), np.float32)
    assert residual.build(size, 24)(images).shape == (2, 24)


def test_four_stages_halve_the_image_and_five_blocks_add():
    network = residual.build(64, 24)
    adds = [layer for layer in network.layers if isinstance(layer, keras.layers.Add)]
    assert [layer.output.shape[1:] for layer in adds] == [
        (32, 32, 32),
        (16, 16, 64),
        (8, 8, 128),
        (8, 8, 128),
        (4, 4, 256),
    ]


@pytest.mark.moderate
def test_dropout_acts_in_training_only():
    network = residual.build(32, 24)
    images = np.random.default_rng(1).normal(size=(4, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(network(images), network(images))
    first, second = network(images, training=True), network(images, training=True)
    assert not np.allclose(first, second)

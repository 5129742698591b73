import keras
import numpy as np
import pytest

from facemill.model.networks import plain


def test_the_network_is_three_convolutions_with_pooling_and_a_dense_layer():
    network = plain.build(32, 64)
    layers = [layer for layer in network.layers if layer.__class__.__name__ != "InputLayer"]
    assert [type(layer) for layer in layers] == [
        keras.layers.Conv2D,
        keras.layers.MaxPooling2D,
        keras.layers.Conv2D,
        keras.layers.MaxPooling2D,
        keras.layers.Conv2D,
        keras.layers.MaxPooling2D,
        keras.layers.Flatten,
        keras.layers.Dense,
        keras.layers.Dense,
    ]
    convolutions, pools, dense = layers[0:6:2], layers[1:6:2], layers[7:]
    assert [layer.filters for layer in convolutions] == [32, 64, 128]
    for layer in convolutions:
        assert layer.kernel_size == (3, 3)
        assert layer.strides == (1, 1)
        assert layer.activation is keras.activations.relu
        assert layer.use_bias
    assert [layer.pool_size for layer in pools] == [(2, 2)] * 3
    assert [layer.strides for layer in pools] == [(2, 2)] * 3
    assert [layer.units for layer in dense] == [512, 64]
    assert dense[0].activation is keras.activations.relu
    assert dense[1].activation is keras.activations.linear
    convolution = 3 * 9 * 32 + 32 + 32 * 9 * 64 + 64 + 64 * 9 * 128 + 128
    assert network.count_params() == convolution + (4 * 4 * 128 + 1) * 512 + 513 * 64


@pytest.mark.moderate
@pytest.mark.parametrize("size", [8, 33, 224])
def test_the_network_accepts_several_image_sizes(size):
    images = np.zeros((2, size, size, 3), np.float32)
    assert plain.build(size, 16)(images).shape == (2, 16)


def test_an_image_does_not_depend_on_the_others_of_its_batch():
    network = plain.build(16, 8)
    images = np.random.default_rng(1).normal(size=(6, 16, 16, 3)).astype(np.float32)
    together = network(images, training=True).numpy()
    alone = np.concatenate([network(one[np.newaxis], training=True).numpy() for one in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_dropout_is_before_the_embedding_alone():
    network = plain.build(16, 8, dropout=0.5)
    assert [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)] == [
        0.5
    ]
    assert isinstance(network.layers[-2], keras.layers.Dropout)

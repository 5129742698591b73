import keras
import numpy as np
import pytest

from facemill.model.networks import mobilefacenet
from facemill.model.networks.layers import BatchNormalization, PReLU

# Table 1 of arXiv 1804.07573: side and channels of the input, operator, t, c, n, s.
TABLE = (
    (112, 3, "conv3x3", None, 64, 1, 2),
    (56, 64, "depthwise conv3x3", None, 64, 1, 1),
    (56, 64, "bottleneck", 2, 64, 5, 2),
    (28, 64, "bottleneck", 4, 128, 1, 2),
    (14, 128, "bottleneck", 2, 128, 6, 1),
    (14, 128, "bottleneck", 4, 128, 1, 2),
    (7, 128, "bottleneck", 2, 128, 2, 1),
    (7, 128, "conv1x1", None, 512, 1, 1),
    (7, 512, "linear GDConv7x7", None, 512, 1, 1),
    (1, 512, "linear conv1x1", None, 128, 1, 1),
)


def rows():
    """The convolutions of the table's operators: (kind, kernel, stride, side, in, out, linear)."""
    for size, channels, operator, expansion, out, repeats, stride in TABLE:
        for repeat in range(repeats):
            step, width, before = (stride, size, channels) if repeat == 0 else (1, None, out)
            width = width if width is not None else size // stride
            if operator == "bottleneck":
                wide = expansion * before
                yield "conv", 1, 1, width, before, wide, False
                yield "depthwise", 3, step, width, wide, wide, False
                yield "conv", 1, 1, width // step, wide, out, True
            elif "GDConv" in operator:
                yield "depthwise", 7, 1, width, before, out, True
            elif "depthwise" in operator:
                yield "depthwise", 3, step, width, before, out, False
            else:
                kernel = int(operator[-1])
                yield "conv", kernel, step, width, before, out, "linear" in operator


@pytest.fixture(scope="module")
def network():
    return mobilefacenet.build(112, 128)


@pytest.mark.moderate
def test_the_convolutions_are_those_of_the_table(network):
    kinds = {keras.layers.Conv2D: "conv", keras.layers.DepthwiseConv2D: "depthwise"}
    layers = [layer for layer in network.layers if type(layer) in kinds]
    built = [
        (
            kinds[type(layer)],
            layer.kernel_size[0],
            layer.strides[0],
            layer.input.shape[1],
            layer.input.shape[-1],
            layer.output.shape[-1],
        )
        for layer in layers
    ]
    assert built == [row[:-1] for row in rows()]
    assert not any(layer.use_bias for layer in layers)


def test_every_convolution_is_normalized_and_those_that_are_not_linear_have_prelu(network):
    counts = [type(layer) for layer in network.layers]
    table = list(rows())
    assert counts.count(BatchNormalization) == len(table)
    assert counts.count(PReLU) == sum(not linear for *_, linear in table)
    # Within a stage every bottleneck but one that strides or widens has a shortcut: 4 + 6 + 2.
    assert counts.count(keras.layers.Add) == 12


def test_the_network_has_the_parameters_of_the_table_about_a_million(network):
    expected = 0
    for kind, kernel, _, _, before, out, linear in rows():
        weights = kernel * kernel * (before if kind == "depthwise" else before * out)
        expected += weights + 2 * out + (0 if linear else out)
    trained = sum(int(np.prod(one.shape)) for one in network.trainable_weights)
    assert trained == expected
    # The paper says 0.99 million.
    assert 0.98e6 < trained < 1.02e6


@pytest.mark.moderate
@pytest.mark.parametrize("size", [16, 50, 64])
def test_the_network_accepts_several_image_sizes(size):
    images = np.zeros((2, size, size, 3), np.float32)
    assert mobilefacenet.build(size, 32)(images).shape == (2, 32)

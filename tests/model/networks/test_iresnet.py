import keras
import pytest

from facemill.model.networks import cost, iresnet
from facemill.model.networks.layers import BatchNormalization, PReLU


def convolutions(network):
    return [
        (one.kernel_size[0], one.strides[0], one.input.shape[1], one.kernel.shape[-1])
        for one in network.layers
        if type(one) is keras.layers.Conv2D
    ]


@pytest.fixture(scope="module")
def network():
    return iresnet.build("ir18", 32, 16, 0.4, squeezed=False)


@pytest.mark.moderate
def test_each_unit_is_two_convolutions_and_the_second_strides(network):
    expected = [(3, 1, 32, 64)]
    side = 32
    for channels in (64, 128, 256, 512):
        expected += [(3, 1, side, channels), (3, 2, side, channels), (1, 2, side, channels)]
        side //= 2
        expected += [(3, 1, side, channels), (3, 1, side, channels)]
    assert sorted(convolutions(network)) == sorted(expected)
    kinds = [type(one) for one in network.layers]
    assert kinds.count(keras.layers.Add) == 8
    # Stem, three in each unit, one in each of four shortcuts, two in the head.
    assert kinds.count(BatchNormalization) == 1 + 3 * 8 + 4 + 2
    assert kinds.count(PReLU) == 1 + 8


def test_the_head_is_normalization_dropout_dense_and_normalization(network):
    head = network.layers[-5:]
    assert [type(one) for one in head] == [
        BatchNormalization,
        keras.layers.Flatten,
        keras.layers.Dropout,
        keras.layers.Dense,
        BatchNormalization,
    ]
    assert head[2].rate == 0.4
    assert head[0].input.shape == (None, 2, 2, 512)


@pytest.mark.moderate
def test_squeeze_and_excitation_adds_a_sixteenth_of_the_channels_twice(network):
    squeezed = iresnet.build("ir18", 32, 16, 0.4, squeezed=True)
    added = cost.of(squeezed).parameters - cost.of(network).parameters
    assert added == 2 * sum(2 * c * (c // 16) + c + c // 16 for c in (64, 128, 256, 512))


@pytest.mark.parametrize(
    ("name", "depth"), [("ir18", 18), ("ir34", 34), ("ir50", 50), ("ir100", 100)]
)
def test_the_names_count_convolutions_and_the_dense_layer(name, depth):
    # As insightface counts: two for each unit, the stem and the dense layer; ir50 has 24 units.
    assert 2 * sum(iresnet.UNITS[name]) + 2 == depth


@pytest.mark.long
@pytest.mark.parametrize(("name", "millions"), [("ir34", 34.14), ("ir100", 65.16)])
def test_the_larger_networks_have_the_parameters_that_are_published(name, millions):
    network = iresnet.build(name, 112, 512, 0.0, squeezed=False)
    assert cost.of(network).parameters == pytest.approx(millions * 1e6, rel=0.001)

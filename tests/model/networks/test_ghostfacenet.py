import keras
import pytest

from facemill.model.networks import cost, ghostfacenet


@pytest.fixture(scope="module")
def network():
    return ghostfacenet.build(112, 512, 0.0)


@pytest.mark.moderate
def test_the_stages_are_those_of_ghostnet_at_a_width_of_1_3(network):
    adds = [one.output.shape[1:] for one in network.layers if isinstance(one, keras.layers.Add)]
    stages = [(56, 20, 1), (28, 32, 2), (14, 52, 2), (7, 104, 4), (7, 144, 2), (4, 208, 5)]
    assert adds == [(side, side, c) for side, c, count in stages for _ in range(count)]


def test_half_of_each_ghost_module_comes_from_cheap_operations(network):
    joins = [one for one in network.layers if isinstance(one, keras.layers.Concatenate)]
    assert len(joins) == 32
    for join in joins:
        first, second = join.input
        assert first.shape == second.shape


def test_squeeze_and_excitation_is_in_seven_bottlenecks(network):
    assert sum(isinstance(one, keras.layers.Multiply) for one in network.layers) == 7


def test_the_size_is_of_the_order_that_is_published(network):
    # 4.1 million parameters and 60 million multiply-adds in the paper's Table 4.
    found = cost.of(network)
    assert found.parameters == pytest.approx(4.04e6, rel=0.005)
    assert found.multiply_adds == pytest.approx(59.5e6, rel=0.01)


@pytest.mark.moderate
def test_small_images_keep_their_size_in_the_stem():
    assert ghostfacenet.build(32, 16, 0.3).layers[1].strides == (1, 1)

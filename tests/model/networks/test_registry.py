import keras
import numpy as np
import pytest

from facemill.model.networks import registry
from facemill.model.recipes.choices import NETWORKS

DISTINCT = [name for name in NETWORKS if name not in ("ir34", "ir50", "ir100")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "mobilefacenet", "residual"])
def test_the_weights_of_a_network_follow_from_the_seed(name):
    built = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        built.append(registry.build(name, 32, 16).get_weights())
    for one, other in zip(built[0], built[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(
        not np.array_equal(one, other) for one, other in zip(built[0], built[2], strict=True)
    )


# Those whose builders the deeper IR-ResNets share with ir18.
@pytest.mark.moderate
@pytest.mark.parametrize("name", DISTINCT)
def test_the_embedding_is_linear_and_can_be_negative(name):
    keras.utils.set_random_seed(3)
    side = 64 if name == "patches" else 32
    network = registry.build(name, side, 16)
    assert network.name == name
    images = np.random.default_rng(2).normal(size=(8, side, side, 3)).astype(np.float32)
    vectors = network(images).numpy()
    assert vectors.min() < 0 < vectors.max()

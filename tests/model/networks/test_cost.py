"""Parameters and multiply-adds against the figures that are known of each network."""

import keras
import pytest

from facemill.model.networks import cost, registry

# Of 112 x 112 pixels: embedding size, millions of parameters, billions of multiply-adds, as
# published: MobileFaceNet in its paper (0.99 M, 221 M multiply-adds by others' count), IR-ResNets
# beside insightface's models (24.03 M and 2.62 G, 43.59 M and 6.33 G, counted with normalization).
KNOWN = {
    "mobilefacenet": (128, 1.00, 0.221),
    "ir18": (512, 24.03, 2.61),
    "ir50": (512, 43.59, 6.31),
}


@pytest.mark.moderate
@pytest.mark.parametrize("name", KNOWN)
def test_the_counts_are_those_that_are_published(name):
    size, parameters, multiply_adds = KNOWN[name]
    found = cost.of(registry.build(name, 112, size))
    assert found.parameters == pytest.approx(parameters * 1e6, rel=0.005)
    assert found.multiply_adds == pytest.approx(multiply_adds * 1e9, rel=0.005)


def test_each_kind_of_layer_is_counted():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, 2, padding="same")(inputs)
    x = keras.layers.DepthwiseConv2D(3, padding="valid")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dense(5)(keras.layers.Flatten()(x))
    found = cost.of(keras.Model(inputs, x))
    # Maps of 4 x 4 and 2 x 2.
    assert found.multiply_adds == 16 * 9 * 3 * 4 + 4 * 9 * 4 + 16 * 5
    assert found.flops == 2 * found.multiply_adds
    assert found.parameters == (9 * 3 * 4 + 4) + (9 * 4 + 4) + 8 + (16 * 5 + 5)
    assert found.statistics == 8
    assert found.to_manifest().keys() == {"parameters", "statistics", "multiply_adds", "flops"}
    assert str(found).endswith("M parameters, 0 MFLOPs an image")

from types import SimpleNamespace

import numpy as np
import pytest

from facemill.model.heads import registry as heads
from facemill.model.networks import registry
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import fine_tuning
from facemill.transforms.core.errors import ParameterError


@pytest.mark.moderate
def test_frozen_layers_are_named_as_in_the_report_whatever_was_built_before():
    registry.build("residual", 32, 8)
    network = registry.build("residual", 32, 8)
    fine_tuning.freeze(network, ["conv2d_[1-3]", "batch normalization 1"])
    frozen = [layer for layer in network.layers if layer.weights and not layer.trainable]
    kinds = [type(layer).__name__ for layer in frozen]
    assert kinds == ["Conv2D", "BatchNormalization", "Conv2D", "Conv2D"]
    assert not {id(one) for layer in frozen for one in layer.weights} & {
        id(one) for one in network.trainable_variables
    }
    # As in inference: batch statistics would move the moving ones.
    before = frozen[1].get_weights()
    network(np.ones((2, 32, 32, 3), np.float32), training=True)
    for one, other in zip(before, frozen[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pattern_that_fits_no_layer_is_refused():
    network = registry.build("plain", 16, 8)
    with pytest.raises(ParameterError, match=r"`freeze` must fit the name of a layer, but none of"):
        fine_tuning.freeze(network, ["conv2d_9"])


def test_a_run_with_nothing_to_train_is_refused():
    network = registry.build("plain", 16, 8)
    embedder = SimpleNamespace(network=network)
    start = fine_tuning.Start(network.get_weights(), ("*",))
    taught = heads.build(Recipe(head="cosine", embedding_size=8), 2, 8)
    taught.build((None, 8))
    with pytest.raises(ParameterError, match=r"^`freeze` must leave a layer to train .* got \*;"):
        fine_tuning.begin(embedder, taught, ["a", "b"], start)
    # A head of identities, or the projection to a teacher of another length, can be trained alone.
    for recipe, size in ((Recipe(head="arcface"), None), (Recipe(head="cosine"), 4)):
        head = heads.build(recipe, 2, size)
        head.build((None, 8))
        fine_tuning.begin(embedder, head, ["a", "b"], start)

"""The estimate against arrays that are counted by hand, and the weights of heads that are built."""

import dataclasses
import math

import keras
import pytest

from facemill.model.heads import registry as heads
from facemill.model.networks import registry
from facemill.model.recipes.choices import HEADS
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import memory

MANIFEST = {
    "options": {"image_size": 32},
    "splits": {
        "train": {"identities": 50, "records": 1000, "shards": ["train/a", "train/b"]},
        "val": {"identities": 5, "records": 0, "shards": []},
    },
    "files": [
        {"path": "train/a", "bytes": 60_000},
        {"path": "train/b", "bytes": 40_000},
        {"path": "index/a", "bytes": 7},
    ],
}
RECIPE = Recipe(network="plain", batch_size=16, validation_pairs=0)


@pytest.fixture(scope="module")
def network():
    return registry.build("plain", 32, 128)


def of(network, replicas: int = 1, **changes) -> memory.Memory:
    recipe = dataclasses.replace(RECIPE, **changes)
    return memory.estimate(recipe, network, MANIFEST, replicas, 0)


@pytest.mark.parametrize("head", HEADS)
def test_the_weights_of_a_head_are_known_without_building_it(head):
    recipe = Recipe(head=head, embedding_size=16)
    built = heads.build(recipe, 37)
    built.build((None, 16))
    assert memory.head_weights(recipe, 37) == memory.Weights(
        sum(math.prod(one.shape) for one in built.trainable_variables),
        sum(math.prod(one.shape) for one in built.variables),
    )


@pytest.mark.parametrize(
    ("optimizer", "count"),
    [("gradient-descent", 0), ("sgd", 1), ("adam", 2), ("adamw", 2), ("lamb", 2), ("lion", 1)],
)
def test_slots_are_those_of_the_optimizer(optimizer, count):
    assert memory.slots(Recipe(optimizer=optimizer)) == count


def test_activations_are_the_outputs_of_the_layers_and_two_of_the_largest():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.Flatten()(x)
    made = keras.Model(inputs, keras.layers.Dense(5)(x))
    image, map_ = 8 * 8 * 3, 8 * 8 * 4
    assert memory.activations(made) == 4 * (image + map_ + 5 + 2 * map_)


def test_activations_of_16_bits_take_half():
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Conv2D(4, 3, padding="same", dtype="mixed_bfloat16")(inputs)
    made = keras.Model(inputs, outputs)
    assert memory.activations(made) == 4 * 8 * 8 * 3 + 2 * 8 * 8 * 4 + 2 * 4 * 8 * 8 * 3


def test_weights_gradients_and_slots_are_those_of_network_and_head(network):
    found = of(network)
    trained = sum(math.prod(one.shape) for one in network.trainable_weights)
    assert found.weights == 4 * sum(math.prod(one.shape) for one in network.weights)
    # With the shares of margin and scale.
    assert found.head == 4 * (128 * 50 + 2)
    assert found.gradients == found.optimizer == 4 * (trained + 128 * 50)
    assert found.average == 0
    # 1,000 records of 100 bytes are shuffled.
    assert 100_000 < found.input < 100_000 + 10 * 16 * 4 * 3 * 32 * 32
    assert found.total == sum(dataclasses.astuple(found))


def test_what_grows_with_the_batch_and_the_replicas_does_so(network):
    one, large, parts, two = (
        of(network),
        of(network, batch_size=64),
        of(network, batch_size=64, accumulate=4),
        of(network, replicas=2),
    )
    assert large.activations > 3.5 * one.activations
    assert parts.activations == one.activations
    assert parts.gradients == 2 * one.gradients
    assert (two.weights, two.optimizer) == (2 * one.weights, 2 * one.optimizer)
    assert two.activations < 1.1 * one.activations


def test_an_average_and_the_best_weights_are_counted(network):
    once = of(network).weights
    assert of(network, ema=0.9).average == once
    assert of(network, precision="mixed_bfloat16").average == once
    assert of(network, ema=0.9, early_stopping=2).average == 2 * once


def test_sampled_identities_have_gradients_of_those_alone(network):
    every, some = of(network), of(network, sample_identities=0.1)
    assert some.head == every.head
    assert every.gradients - some.gradients == 4 * 128 * 45


def test_a_siamese_head_grows_with_the_square_of_the_batch(network):
    def rest(batch: int) -> int:
        found = of(network, head="siamese", batch_size=batch, images_per_identity=4)
        return found.activations - batch * memory.activations(network)

    assert rest(64) == 16 * rest(16) > 0

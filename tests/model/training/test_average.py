from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.training.average import Average


def network(value: float) -> SimpleNamespace:
    """A network of one weight, as an embedder holds it."""
    weight = keras.Variable(np.float32(value), name="w")
    return SimpleNamespace(network=SimpleNamespace(weights=[weight]))


def test_the_average_starts_at_the_weights_and_its_decay_rises_to_its_value():
    trained, averaged = network(1.0), network(7.0)
    average = Average(trained, averaged, 0.5)
    assert average.is_moving
    expected = 1.0
    for step in range(1, 20):
        trained.network.weights[0].assign(float(step % 5))
        average.update(tf.constant(step, tf.int64))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step % 5)
        assert float(averaged.network.weights[0].numpy()) == pytest.approx(expected, rel=1e-5)
    assert decay == 0.5


def test_without_decay_it_is_a_copy():
    trained, averaged = network(1.0), network(7.0)
    average = Average(trained, averaged, 0.0)
    assert not average.is_moving
    trained.network.weights[0].assign(3.0)
    average.copy()
    assert float(averaged.network.weights[0].numpy()) == 3.0

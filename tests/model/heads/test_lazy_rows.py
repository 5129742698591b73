import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.heads.lazy_rows import update_read_rows_alone
from facemill.transforms.core.errors import ParameterError

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, weight_decay=0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda: keras.optimizers.Adam(0.1, weight_decay=0.1),
    "adamw": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1),
}


def centers():
    return keras.Variable(np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32))


def lazy(name, variable):
    optimizer = OPTIMIZERS[name]()
    optimizer.exclude_from_weight_decay(var_list=[variable])
    optimizer.build([variable])
    update_read_rows_alone(optimizer)
    return optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_of_all_rows_is_keras_own(name):
    ours, theirs = centers(), centers()
    optimizer, dense = lazy(name, ours), OPTIMIZERS[name]()
    dense.build([theirs])
    draw = np.random.default_rng(2)
    for _ in range(4):
        gradient = draw.normal(size=(5, 2)).astype(np.float32)
        order = draw.permutation(5)
        optimizer.apply([tf.IndexedSlices(tf.constant(gradient[order]), tf.constant(order))])
        dense.apply([tf.constant(gradient)])
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_that_were_not_read_keep_weights_and_state(name):
    variable = centers()
    optimizer = lazy(name, variable)
    rows = tf.constant([0, 1, 2, 3, 4])
    optimizer.apply([tf.IndexedSlices(tf.ones([5, 2]), rows)])
    watched = [variable, *(one for one in optimizer.variables if one.shape == (5, 2))]
    before = [one.numpy().copy() for one in watched]
    # A row that is there twice, as with two replicas, counts as the sum.
    slices = tf.IndexedSlices(tf.fill([3, 2], 0.7), tf.constant([3, 1, 3]))
    optimizer.apply([slices])
    for one, old in zip(watched, before, strict=True):
        np.testing.assert_array_equal(one.numpy()[[0, 2, 4]], old[[0, 2, 4]])
        assert np.all(one.numpy()[[1, 3]] != old[[1, 3]])
    if name == "sgd":
        moved = 0.99 * before[0] - 0.1 * np.array([[0.0], [0.7], [0.0], [1.4], [0.0]])
        np.testing.assert_allclose(variable.numpy()[[1, 3]], moved[[1, 3]], rtol=1e-5)


def test_other_gradients_are_left_to_keras():
    ours, theirs = centers(), centers()
    optimizer, dense = lazy("momentum", ours), OPTIMIZERS["momentum"]()
    dense.exclude_from_weight_decay(var_list=[theirs])
    dense.build([theirs])
    for one in (optimizer, dense):
        one.apply([tf.ones([5, 2])])
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_other_optimizers_are_refused():
    with pytest.raises(ParameterError, match=r"`optimizer` must be sgd or adam .* got lion; give"):
        update_read_rows_alone(keras.optimizers.Lion(0.1))

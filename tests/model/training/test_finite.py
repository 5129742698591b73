import numpy as np
import pytest
import tensorflow as tf

from facemill.model.training.finite import all_finite


def weights(last: float) -> list[tf.Tensor]:
    return [tf.ones([2, 3]), tf.constant(np.array([1.0, -2.0, last], np.float32))]


# The squares of the second overflow.
@pytest.mark.parametrize("last", [0.0, 3e30, -3e38])
def test_large_weights_are_finite(last):
    assert all_finite(weights(last))


@pytest.mark.parametrize("last", [float("nan"), float("inf"), float("-inf")])
def test_one_value_that_is_not_finite_is_found(last):
    assert not all_finite(weights(last))
    assert not all_finite(weights(last)[::-1])
    assert not tf.function(all_finite)(weights(last))

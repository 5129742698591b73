"""Updates of the rows of a matrix that a step has read, and of no other.

The gradient of a matrix of which `tf.gather` read some rows is tf.IndexedSlices. Keras's optimizers
turn it into a matrix, and SGD and Adam move every row by its momentum: at a million identities each
step then touches some ten gigabytes. Here rows that were not read, and their state, stay as they
are, as in TensorFlow 1's LazyAdam.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from facemill.transforms.core.errors import ParameterError


def summed(gradients: Sequence[Any]) -> list[Any]:
    """The gradients summed over replicas, in replica context.

    Args:
        gradients: of each variable. The rows of tf.IndexedSlices are the same on all replicas.
    """
    context = tf.distribute.get_replica_context()
    parts = [_values(one) for one in gradients]
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, parts)
    return [_like(one, values) for one, values in zip(gradients, total, strict=True)]


def divided(gradients: Sequence[Any], divisor: Any) -> list[Any]:
    """Each gradient divided by a number."""
    return [_like(one, _values(one) / divisor) for one in gradients]


def update_read_rows_alone(optimizer: keras.optimizers.Optimizer) -> None:
    """Makes an optimizer update a variable with sparse gradients in these rows alone.

    Its weight decay acts on these rows too, before the gradient as elsewhere; so the variable has
    to be excluded from its own decay.

    Args:
        optimizer: SGD, Adam or AdamW, not wrapped in another.

    Raises:
        ParameterError: it is another optimizer.
    """
    if not isinstance(optimizer, (keras.optimizers.SGD, keras.optimizers.Adam)):
        raise ParameterError(
            "optimizer",
            optimizer.name,
            must="be sgd or adam where identities are sampled",
            do="give one of them",
        )
    of_all = optimizer.update_step

    def update_step(gradient: Any, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        if not isinstance(gradient, tf.IndexedSlices):
            of_all(gradient, variable, learning_rate)
            return
        rows, where = tf.unique(gradient.indices)
        # Several replicas give each row several times.
        values = tf.math.unsorted_segment_sum(gradient.values, where, tf.size(rows))
        rate = tf.cast(learning_rate, values.dtype)
        weights = tf.gather(variable, rows)
        weights -= rate * (optimizer.weight_decay or 0.0) * weights
        step = _sgd if isinstance(optimizer, keras.optimizers.SGD) else _adam
        moved = step(optimizer, variable, rows, values, rate)
        _write(variable, rows, weights + moved)

    optimizer.update_step = update_step


def _sgd(
    optimizer: Any, variable: tf.Variable, rows: tf.Tensor, values: tf.Tensor, rate: tf.Tensor
) -> tf.Tensor:
    """What is to be added to the rows, after their momentum was updated."""
    if not optimizer.momentum:
        return -rate * values
    momentums = optimizer.momentums[optimizer._get_variable_index(variable)].value
    momentum = optimizer.momentum * tf.gather(momentums, rows) - rate * values
    _write(momentums, rows, momentum)
    return optimizer.momentum * momentum - rate * values if optimizer.nesterov else momentum


def _adam(
    optimizer: Any, variable: tf.Variable, rows: tf.Tensor, values: tf.Tensor, rate: tf.Tensor
) -> tf.Tensor:
    """What is to be added to the rows, after their moments were updated."""
    index = optimizer._get_variable_index(variable)
    firsts, seconds = optimizer._momentums[index].value, optimizer._velocities[index].value
    step = tf.cast(tf.convert_to_tensor(optimizer.iterations) + 1, values.dtype)
    first, second = tf.gather(firsts, rows), tf.gather(seconds, rows)
    first += (values - first) * (1.0 - optimizer.beta_1)
    second += (tf.square(values) - second) * (1.0 - optimizer.beta_2)
    _write(firsts, rows, first)
    _write(seconds, rows, second)
    alpha = rate * tf.sqrt(1.0 - tf.pow(optimizer.beta_2, step))
    alpha /= 1.0 - tf.pow(optimizer.beta_1, step)
    return -alpha * first / (tf.sqrt(second) + optimizer.epsilon)


def _write(variable: tf.Variable, rows: tf.Tensor, values: tf.Tensor) -> None:
    variable.scatter_update(tf.IndexedSlices(values, rows))


def _values(gradient: Any) -> tf.Tensor:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _like(gradient: Any, values: tf.Tensor) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return values
    return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)

"""A network as one graph of constants, which the converters of other formats want."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

_LOGGERS = ("absl", "tensorflow", "tf2onnx")


def frozen(embed: Callable[[tf.Tensor], tf.Tensor], size: int, dtype: tf.DType = tf.uint8) -> Any:
    """A concrete function without variables: [N, S, S, 3] -> float32 [N, D], for any N.

    Args:
        embed: the network.
        size: S.
        dtype: of the pixels.
    """
    signature = [tf.TensorSpec([None, size, size, 3], dtype, name="pixels")]
    function = tf.function(embed, input_signature=signature).get_concrete_function()
    return convert_variables_to_constants_v2(function)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of converters about what they do themselves."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in zip(loggers, levels, strict=True):
            log.setLevel(level)

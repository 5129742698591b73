"""Mixed precision: the network computes in 16 bits, its weights and all else stay in 32."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from facemill.transforms.core.errors import ParameterError

_FLOAT16 = "mixed_float16"


def needs_loss_scaling(precision: str) -> bool:
    """Whether gradients would underflow without a factor on the loss: those of float16 do.

    Micikevicius et al. 2018, arXiv 1710.03740, section 3.2. bfloat16 has the range of float32.
    """
    return precision == _FLOAT16


def check(precision: str) -> None:
    """Refuses float16 where no GPU computes it.

    Args:
        precision: one of `model.recipes.choices.PRECISIONS`.

    Raises:
        ParameterError: TensorFlow has no GPU.
    """
    if precision == _FLOAT16 and not tf.config.list_physical_devices("GPU"):
        raise ParameterError(
            "precision",
            precision,
            must="be float32 or mixed_bfloat16 where TensorFlow has no GPU",
            do="give one of them; float32 is the quickest on most CPUs",
        )


@contextmanager
def layers_of(precision: str) -> Iterator[None]:
    """Makes the layers that are built in the block compute in a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)

"""Keras as training needs it, whatever a person's `keras.json` says."""

import keras

from facemill.transforms.core.errors import UsageError

_BACKEND = "tensorflow"


def use_own_settings() -> None:
    """Sets what networks and weights depend on: float32, channels last, Keras's own epsilon.

    Raises:
        UsageError: Keras was imported with another backend than TensorFlow.
    """
    found = keras.config.backend()
    if found != _BACKEND:
        raise UsageError(
            f"Keras must run on {_BACKEND}, but its backend is {found}; set KERAS_BACKEND to "
            f"{_BACKEND} before it is imported."
        )
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")

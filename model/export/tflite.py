"""The TFLite twin of a model: the same network as the SavedModel, at a third of its CPU time."""

import logging
import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from facemill.model.export.embedder import Embedder
from facemill.model.runtimes.choices import LITERT
from facemill.model.runtimes.spec import SAVED_MODEL, RuntimeSpec

# Relative to the artifact.
FILE = "embedder.tflite"
# Largest difference of a component of two vectors of length 1; rounding gives some 1e-6.
TOLERANCE = 1e-4


def convert(embedder: Embedder) -> bytes:
    """The content of a TFLite file: uint8 [N, S, S, 3] -> float32 [N, D], for any N.

    Args:
        embedder: with trained weights.
    """
    size = embedder.image_size
    signature = [tf.TensorSpec([None, size, size, 3], tf.uint8, name="pixels")]
    function = tf.function(embedder.embed, input_signature=signature).get_concrete_function()
    # The converter silently drops the variables of a module that wraps a Keras 3 network, and the
    # file then gives NaN; so they become constants first.
    frozen = convert_variables_to_constants_v2(function)
    # It warns that it was given no module, which this one does not need.
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    finally:
        log.setLevel(level)
    return content


def spec_of(content: bytes) -> RuntimeSpec:
    """How the network of a converted file is called.

    Args:
        content: what `convert` returned.
    """
    interpreter = _interpreter(content)
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    return RuntimeSpec(
        LITERT,
        FILE,
        input=given["name"],
        output=found["name"],
        dtype=SAVED_MODEL.dtype,
        normalize=False,
    )


def largest_difference(
    content: bytes, embed: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray
) -> float:
    """The largest difference of a component between a file's embeddings and those of a function.

    Args:
        content: what `convert` returned.
        embed: uint8 [N, S, S, 3] -> float32 [N, D].
        pixels: uint8 [N, S, S, 3].

    Returns:
        0 or more; infinite if an embedding is not finite.
    """
    interpreter = _interpreter(content)
    given = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(given, pixels.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given, pixels)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    difference = float(np.abs(found - embed(pixels)).max())
    return difference if np.isfinite(difference) else float("inf")


def _interpreter(content: bytes) -> tf.lite.Interpreter:
    # TensorFlow's own: training does not need the extra that scoring uses. It is deprecated, but
    # computes with the same kernels.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tf.lite.Interpreter(model_content=content, num_threads=1)

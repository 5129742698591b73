"""TFLite files of a model: the same network as the SavedModel, at a third of its CPU time."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.model.export.embedder import Embedder
from facemill.model.export.frozen import frozen, quiet
from facemill.model.runtimes.base import is_installed
from facemill.model.runtimes.choices import LITERT
from facemill.model.runtimes.formats import (
    FILES,
    TFLITE,
    TFLITE_DYNAMIC,
    TFLITE_FLOAT16,
    TFLITE_INT8,
)
from facemill.model.runtimes.litert_runtime import MODULE, LiteRT
from facemill.model.runtimes.spec import SAVED_MODEL, RuntimeSpec

VARIANTS = (TFLITE, TFLITE_FLOAT16, TFLITE_DYNAMIC, TFLITE_INT8)


def convert(
    embedder: Embedder, variant: str = TFLITE, calibration: np.ndarray | None = None
) -> bytes:
    """The content of a TFLite file for any N: uint8 [N, S, S, 3] -> float32 [N, D].

    - `tflite`: float32.
    - `tflite_float16`: weights in float16, computed in float32.
    - `tflite_dynamic`: kernels in int8, activations quantized while they are computed.
    - `tflite_int8`: everything in int8, by the ranges of the calibration images. Its embeddings
      do not have length 1, except with `flip_average`: eight bits of an embedding of length 1 would
      have steps of 1/128.

    Args:
        embedder: with trained weights.
        variant: one of VARIANTS.
        calibration: uint8 [N, S, S, 3], faces as the network will see them, for `tflite_int8`.
    """
    full = variant == TFLITE_INT8
    embed = _unnormalized(embedder) if full else embedder.embed
    if full and calibration is None:
        raise ValueError("full int8 needs calibration images, got none")
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The converter silently drops the variables of a module that wraps a Keras 3 network, and
        # the file then gives NaN; so they become constants first. The calibrator wants floats; the
        # file's input becomes uint8 all the same.
        graph = frozen(embed, embedder.image_size, tf.float32 if full else tf.uint8)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
        _set(converter, variant, calibration)
        content: bytes = converter.convert()
    return content


def spec_of(content: bytes, variant: str = TFLITE) -> RuntimeSpec:
    """How the network of a converted file is called.

    Args:
        content: what `convert` returned.
        variant: it was converted to.
    """
    interpreter = _interpreter(content)
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    return RuntimeSpec(
        LITERT,
        FILES[variant],
        input=given["name"],
        output=found["name"],
        dtype=SAVED_MODEL.dtype,
        normalize=variant == TFLITE_INT8,
    )


def runtime(path: str, spec: RuntimeSpec, batch: int) -> LiteRT:
    """A converted file, run by LiteRT, or by TensorFlow's copy of it where that is not installed.

    Training does not need the extra that scoring uses. TensorFlow's copy is deprecated, but
    computes with the same kernels.

    Args:
        path: of the file.
        spec: what `spec_of` gave.
        batch: images in each call.
    """
    if is_installed(MODULE):
        return LiteRT(path, spec, batch)
    return LiteRT(path, spec, batch, lambda path: _interpreter(path=path))


def _set(converter: Any, variant: str, calibration: np.ndarray | None) -> None:
    """Sets what a variant asks of the converter."""
    if variant != TFLITE:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == TFLITE_FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if variant == TFLITE_INT8:
        converter.representative_dataset = lambda: _single(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8


def _unnormalized(embedder: Embedder) -> Callable[[tf.Tensor], tf.Tensor]:
    if embedder.flip_average:
        return embedder.embed
    return lambda pixels: embedder.raw(pixels, training=False)


def _single(images: np.ndarray | None) -> Iterator[list[np.ndarray]]:
    for image in () if images is None else images:
        yield [image[np.newaxis].astype(np.float32)]


def _interpreter(content: bytes | None = None, path: str | None = None) -> tf.lite.Interpreter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tf.lite.Interpreter(model_path=path, model_content=content, num_threads=1)

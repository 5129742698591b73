"""The `.keras` file of a model: Keras's own layers alone, so that any Keras 3 can load it."""

from typing import Any

import keras
import numpy as np

from facemill.model.export.embedder import Embedder
from facemill.model.networks import layers
from facemill.model.runtimes.choices import TENSORFLOW
from facemill.model.runtimes.formats import FILES, KERAS
from facemill.model.runtimes.spec import RuntimeSpec

SPEC = RuntimeSpec(
    TENSORFLOW, FILES[KERAS], input="input", output="output", dtype="uint8", normalize=False
)
# Our layers are Keras's with another training step, which an exported network has no use for.
_KERAS_OWN: dict[type, type] = {
    layers.BatchNormalization: keras.layers.BatchNormalization,
    layers.PReLU: keras.layers.PReLU,
}


def export(embedder: Embedder, path: str) -> None:
    """Writes a Keras file: uint8 [N, S, S, 3] -> float32 [N, D], each row of length 1.

    Args:
        embedder: with trained weights.
        path: of the file, ending in `.keras`.
    """
    portable(embedder).save(path)


def portable(embedder: Embedder) -> keras.Model:
    """The embedder as one network of Keras's own layers, standardization and length included."""
    network = keras.models.clone_model(embedder.network, clone_function=_keras_own)
    network.set_weights(embedder.network.get_weights())
    size = embedder.image_size
    scale = 1 / embedder.pixel_std.numpy().astype(np.float64)
    offset = -embedder.pixel_mean.numpy() * scale
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    standardized = keras.layers.Rescaling(scale.tolist(), offset.tolist())(pixels)
    unit = keras.layers.UnitNormalization(axis=-1)
    vectors = unit(network(standardized))
    if embedder.flip_average:
        # Width is the axis before the last.
        mirrored = unit(network(keras.ops.flip(standardized, axis=2)))
        vectors = unit(keras.layers.Add()([vectors, mirrored]))
    return keras.Model(pixels, vectors, name="embedder")


def _keras_own(layer: keras.Layer) -> keras.Layer:
    own: Any = _KERAS_OWN.get(type(layer), type(layer))
    return own.from_config(layer.get_config())

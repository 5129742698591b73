"""A small model artifact written by hand, which fails on images of two given colors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.transforms import storage
from facemill.transforms.dataset import artifact
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.resize import encode_jpeg

SIZE = 4  # of an embedding
# Colors of images on which the model fails.
NOT_FINITE, TOO_MUCH_MEMORY = (0, 0, 0), (255, 255, 255)


class Means(tf.Module):
    """An embedding of the mean color, scaled to the sum 1, and the number of images in the call.

    It is not finite for a black image; for a white one the model requests more memory than
    machines have.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def __call__(self, image_bytes):
        def mean(encoded):
            pixels = tf.cast(tf.io.decode_jpeg(encoded, channels=3), tf.float32)
            return tf.reduce_mean(pixels, [0, 1])

        means = tf.map_fn(mean, image_bytes, fn_output_signature=tf.TensorSpec([3], tf.float32))
        white = tf.reduce_any(tf.reduce_all(means > 254, 1))
        nothing = tf.reduce_sum(tf.fill([tf.cast(white, tf.int64) * 2**46], means[0, 0]))
        size = tf.fill([tf.shape(means)[0], 1], tf.cast(tf.shape(means)[0], tf.float32))
        bright = tf.reduce_sum(means, 1, keepdims=True)
        return {"embedding": tf.concat([means / bright + nothing, size], 1)}


def write_model(root: Path, crop_config: CropConfig) -> dict[str, Any]:
    """Writes the artifact and returns its manifest."""
    module = Means()
    signatures = {"serving_default": module.__call__}
    tf.saved_model.save(module, str(root / "saved_model"), signatures=signatures)
    manifest = {
        "kind": "model",
        "schema_version": artifact.SCHEMA_VERSION,
        "model_id": "means",
        "embedding_size": SIZE,
        "preprocessing": crop_config.to_manifest(),
        "files": [artifact.file_entry(str(root), name) for name in storage.walk_files(str(root))],
    }
    (root / "manifest.json").write_text(json.dumps(manifest))
    return manifest


def jpeg(red: int, green: int, blue: int) -> bytes:
    """A small image of one color."""
    return encode_jpeg(np.full((16, 16, 3), (red, green, blue), np.uint8))

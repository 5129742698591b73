"""A small model artifact written by hand, which fails on images of three given colors."""

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
NOT_FINITE, TOO_MUCH_MEMORY, REFUSED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


class Means(tf.Module):
    """An embedding of the mean color, scaled to the sum 1, and the number of images in the call.

    It is not finite for a black image, and the model refuses a red one. For a white one it requests
    more memory than machines have.
    """

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="pixels")])
    def __call__(self, pixels):
        means = tf.reduce_mean(tf.cast(pixels, tf.float32), [1, 2])
        refused = tf.reduce_any(tf.reduce_all(means[:, 1:] < 1, 1) & (means[:, 0] > 250))
        with tf.control_dependencies([tf.debugging.Assert(~refused, ["an image is red"])]):
            means = tf.identity(means)
        white = tf.reduce_any(tf.reduce_all(means > 254, 1))
        nothing = tf.reduce_sum(tf.fill([tf.cast(white, tf.int64) * 2**46], means[0, 0]))
        size = tf.fill([tf.shape(means)[0], 1], tf.cast(tf.shape(means)[0], tf.float32))
        bright = tf.reduce_sum(means, 1, keepdims=True)
        return {"embedding": tf.concat([means / bright + nothing, size], 1)}


def write_model(root: Path, crop_config: CropConfig) -> dict[str, Any]:
    """Writes the artifact and returns its manifest."""
    module = Means()
    signatures = {"pixels": module.__call__}
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

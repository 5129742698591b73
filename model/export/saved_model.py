"""Writing the SavedModel of a model artifact: image bytes or pixels in, embedding out."""

import hashlib
import json
from dataclasses import asdict

import tensorflow as tf

from facemill.model.export.embedder import Embedder
from facemill.model.recipes.recipe import Recipe


class Exported(tf.Module):
    """The signatures of an exported model.

    Args:
        embedder: with trained weights, its variables outside of any strategy.
        crop_fraction: share of the shorter side that the center crop keeps, in (0, 1], or None to
            resize the complete image. Images of the model's size are not cropped. A model of
            aligned faces (`align` is landmarks or detect) has no detector inside and expects
            aligned crops; give None for it. Images must be upright JPEG or PNG, because EXIF
            orientation is ignored.
    """

    def __init__(self, embedder: Embedder, crop_fraction: float | None) -> None:
        super().__init__(name="facemill")
        self.embedder = embedder
        self._crop_fraction = crop_fraction
        size = embedder.image_size
        self.from_pixels = tf.function(
            self._from_pixels,
            input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8, name="pixels")],
        )
        self.from_bytes = tf.function(
            self._from_bytes,
            input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")],
        )

    def _from_pixels(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": self.embedder.embed(pixels)}

    def _from_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        size = self.embedder.image_size
        pixels = tf.map_fn(
            self._standardized,
            image_bytes,
            fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
        )
        return self._from_pixels(pixels)

    def _standardized(self, encoded: tf.Tensor) -> tf.Tensor:
        size = self.embedder.image_size
        # The op reads PNG too. INTEGER_ACCURATE gives the pixels that training saw.
        pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
        height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
        ready = (height == size) & (width == size)
        result = tf.cond(ready, lambda: pixels, lambda: self._resized(self._cropped(pixels)))
        return tf.ensure_shape(result, [size, size, 3])

    def _cropped(self, pixels: tf.Tensor) -> tf.Tensor:
        if self._crop_fraction is None:
            return pixels
        height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
        # In double precision, so that halves round as in `transforms.images.resize`.
        shorter = tf.cast(tf.minimum(height, width), tf.float64)
        side = tf.maximum(1, tf.cast(tf.round(shorter * self._crop_fraction), tf.int32))
        return tf.image.crop_to_bounding_box(
            pixels, (height - side) // 2, (width - side) // 2, side, side
        )

    def _resized(self, pixels: tf.Tensor) -> tf.Tensor:
        size = self.embedder.image_size
        methods = tf.image.ResizeMethod
        # Area averaging is for shrinking; it repeats pixels when it enlarges.
        resized = tf.cond(
            tf.reduce_min(tf.shape(pixels)[:2]) > size,
            lambda: tf.image.resize(pixels, [size, size], methods.AREA),
            lambda: tf.image.resize(pixels, [size, size], methods.BILINEAR),
        )
        return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def export(embedder: Embedder, crop_fraction: float | None, path: str) -> None:
    """Writes a SavedModel with the signatures `serving_default` (image_bytes) and `pixels`.

    Args:
        embedder: with trained weights.
        crop_fraction: see `Exported`.
        path: directory to write.
    """
    module = Exported(embedder, crop_fraction)
    tf.saved_model.save(
        module,
        path,
        signatures={"serving_default": module.from_bytes, "pixels": module.from_pixels},
    )


def copy_outside_strategy(
    trained: Embedder, recipe: Recipe, mean: tf.Tensor, std: tf.Tensor
) -> Embedder:
    """A copy of the model whose variables belong to no distribution strategy."""
    plain = Embedder(recipe, trained.image_size, mean, std)
    plain.network.set_weights(trained.network.get_weights())
    return plain


def model_id(embedder: Embedder, recipe: Recipe, preprocessing: dict) -> str:
    """Hex SHA-256 over weights, pixel moments, recipe and preprocessing.

    The SavedModel's bytes are not hashed, because names in its graph change from run to run.
    """
    described = {"recipe": asdict(recipe), "preprocessing": preprocessing}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode("ascii"))
    moments = [embedder.pixel_mean.numpy(), embedder.pixel_std.numpy()]
    for weights in moments + embedder.network.get_weights():
        digest.update(f"{weights.dtype.str}{weights.shape}".encode("ascii"))
        digest.update(weights.tobytes())
    return digest.hexdigest()

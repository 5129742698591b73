"""From pixels to embeddings, by the same code in training, validation and the exported model."""

import numpy as np
import tensorflow as tf

from facemill.model.networks import layers, registry
from facemill.model.recipes.recipe import Recipe


class Embedder(tf.Module):
    """A network and the normalization of its input; Keras's current seed sets the weights.

    Args:
        recipe: its network with its options, embedding size and `flip_average` are used.
        image_size: S, side of the image in pixels.
        pixel_mean: float32 [3], of R, G, B in [0, 255].
        pixel_std: float32 [3], above 0.

    Attributes:
        network: the trainable part.
        image_size: S.
        pixel_mean: float32 [3].
        pixel_std: float32 [3].
        flip_average: whether the mirror image is embedded too.
    """

    def __init__(
        self, recipe: Recipe, image_size: int, pixel_mean: np.ndarray, pixel_std: np.ndarray
    ) -> None:
        super().__init__(name="embedder")
        self.network = registry.build(
            recipe.network,
            image_size,
            recipe.embedding_size,
            recipe.dropout,
            recipe.squeeze_excitation,
        )
        if recipe.synchronized_normalization:
            layers.synchronize(self.network)
        self.image_size = image_size
        self.flip_average = recipe.flip_average
        self.pixel_mean = tf.constant(pixel_mean, tf.float32)
        self.pixel_std = tf.constant(pixel_std, tf.float32)

    def raw(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Embeddings before normalization, for a head.

        Args:
            pixels: [N, S, S, 3] of any number type, in [0, 255].
            training: whether BatchNorm and dropout act as in training.

        Returns:
            float32 [N, D].
        """
        standardized = (tf.cast(pixels, tf.float32) - self.pixel_mean) / self.pixel_std
        # A network that computes in 16 bits is trained by a head and a loss of 32.
        return tf.cast(self.network(standardized, training=training), tf.float32)

    def embed(self, pixels: tf.Tensor) -> tf.Tensor:
        """Normalized embeddings, as the exported model gives them.

        Args:
            pixels: uint8 [N, S, S, 3].

        Returns:
            float32 [N, D], each row of length 1.
        """
        vectors = tf.math.l2_normalize(self.raw(pixels, training=False), axis=1)
        if self.flip_average:
            mirrored = self.raw(tf.reverse(pixels, axis=[2]), training=False)
            vectors = tf.math.l2_normalize(vectors + tf.math.l2_normalize(mirrored, axis=1), axis=1)
        return vectors

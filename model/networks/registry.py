"""Networks by name."""

import keras

from facemill.model.networks import mobilefacenet, plain, residual

_BUILDERS = {
    "plain": plain.build,
    "mobilefacenet": mobilefacenet.build,
    "residual": residual.build,
}


def build(name: str, image_size: int, embedding_size: int) -> keras.Model:
    """A network with initial weights from Keras's current seed.

    Args:
        name: one of `model.recipes.choices.NETWORKS`.
        image_size: side of the image in pixels.
        embedding_size: D.

    Returns:
        standardized pixels float32 [N, image_size, image_size, 3] -> float32 [N, D], not
        normalized.
    """
    return _BUILDERS[name](image_size, embedding_size)

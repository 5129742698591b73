"""Networks by name."""

import keras

from facemill.model.networks import (
    compact,
    ghostfacenet,
    iresnet,
    mobilefacenet,
    patches,
    plain,
    residual,
)
from facemill.model.networks.limits import check_embedding_size, check_image_size, check_options
from facemill.model.recipes.choices import IR_NETWORKS


def build(
    name: str,
    image_size: int,
    embedding_size: int,
    dropout: float | None = None,
    squeeze_excitation: bool = False,
) -> keras.Model:
    """A network with initial weights from Keras's current seed.

    Args:
        name: one of `model.recipes.choices.NETWORKS`.
        image_size: side of the image in pixels.
        embedding_size: D.
        dropout: rate in [0, 1), or None for the network's own.
        squeeze_excitation: whether an IR-ResNet becomes an IR-SE network.

    Returns:
        standardized pixels float32 [N, image_size, image_size, 3] -> float32 [N, D], not
        normalized.

    Raises:
        ParameterError: the image is too small, the network lacks what an option changes, or its
            parts cannot share the embedding.
    """
    check_image_size(name, image_size)
    check_options(name, dropout, squeeze_excitation)
    check_embedding_size(name, embedding_size)
    if name in IR_NETWORKS:
        rate = iresnet.DROPOUT if dropout is None else dropout
        return iresnet.build(name, image_size, embedding_size, rate, squeeze_excitation)
    if name == "mobilefacenet":
        return mobilefacenet.build(image_size, embedding_size)
    if name == "residual":
        rate = residual.DROPOUT if dropout is None else dropout
        return residual.build(image_size, embedding_size, rate)
    if name == "patches":
        rate = patches.DROPOUT if dropout is None else dropout
        return patches.build(image_size, embedding_size, rate)
    if name == "compact":
        return compact.build(image_size, embedding_size, dropout or 0.0)
    if name == "plain":
        return plain.build(image_size, embedding_size, dropout or 0.0)
    assert name == "ghostfacenet", name
    return ghostfacenet.build(image_size, embedding_size, dropout or 0.0)

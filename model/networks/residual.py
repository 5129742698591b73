"""A small residual network for small images and for machines without a GPU."""

import keras

from facemill.model.networks.layers import convolution, normalized

# (channels, blocks) of each stage; every stage halves the image first.
_STAGES = ((32, 1), (64, 1), (128, 2), (256, 1))
_DROPOUT = 0.3


def build(image_size: int, embedding_size: int) -> keras.Model:
    """Four stages of basic blocks (He et al. 2016, arXiv 1512.03385) with PReLU.

    Args:
        image_size: side of the image in pixels, 32 or more.
        embedding_size: D.

    Returns:
        float32 [N, image_size, image_size, 3] -> float32 [N, D].
    """
    inputs = keras.Input((image_size, image_size, 3))
    x = inputs
    for channels, blocks in _STAGES:
        x = convolution(x, channels, strides=2)
        for _ in range(blocks):
            x = _block(x, channels)
    # As in ArcFace's embedding head (arXiv 1801.07698, 3.1): BatchNorm, dropout, dense, BatchNorm.
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(_DROPOUT)(x)
    x = keras.layers.Dense(embedding_size, use_bias=False)(x)
    return keras.Model(inputs, normalized(x, activation=False), name="residual")


def _block(x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    y = convolution(x, channels)
    y = convolution(y, channels, activation=False)
    y = keras.layers.Add()([x, y])
    return keras.layers.PReLU(
        shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.25)
    )(y)

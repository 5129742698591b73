"""A small residual network for crops of about 64 pixels and for machines without a GPU."""

import keras

from facemill.model.networks.layers import basic_stages, normalized

# (channels, blocks) of each stage; every stage halves the image first.
_STAGES = ((32, 1), (64, 1), (128, 2), (256, 1))
DROPOUT = 0.3


def build(image_size: int, embedding_size: int, dropout: float = DROPOUT) -> keras.Model:
    """Four stages of basic blocks (He et al. 2016, arXiv 1512.03385) with PReLU.

    Args:
        image_size: side of the image in pixels, 32 or more.
        embedding_size: D.
        dropout: rate before the dense layer, 0 for none.

    Returns:
        float32 [N, image_size, image_size, 3] -> float32 [N, D].
    """
    inputs = keras.Input((image_size, image_size, 3))
    x = basic_stages(inputs, _STAGES)
    # As in ArcFace's embedding head (arXiv 1801.07698, 3.1): BatchNorm, dropout, dense, BatchNorm.
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(embedding_size, use_bias=False)(x)
    return keras.Model(inputs, normalized(x, activation=False), name="residual")

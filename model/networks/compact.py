"""A small residual network for aligned crops of 112 pixels, at a tenth of MobileFaceNet's cost."""

import keras

from facemill.model.networks.layers import basic_stages, plain_embedding_head

# (channels, blocks) of each stage; every stage halves the map first.
_STAGES = ((16, 1), (32, 1), (64, 2), (128, 1))
# From this side on, the image is first averaged in cells of 2 x 2 pixels. Most of a network's cost
# is in its large maps.
_POOLED_FROM = 96


def build(image_size: int, embedding_size: int, dropout: float) -> keras.Model:
    """Four stages of basic blocks (He et al. 2016, arXiv 1512.03385) with PReLU.

    The end is ArcFace's without its first BatchNorm (arXiv 1801.07698, 3.1): dropout, dense,
    BatchNorm.

    Args:
        image_size: side of the image in pixels, 32 or more; it is made for 112.
        embedding_size: D.
        dropout: rate before the dense layer, 0 for none.

    Returns:
        float32 [N, image_size, image_size, 3] -> float32 [N, D].
    """
    inputs = x = keras.Input((image_size, image_size, 3))
    if image_size >= _POOLED_FROM:
        x = keras.layers.AveragePooling2D(2)(x)
    x = plain_embedding_head(basic_stages(x, _STAGES), embedding_size, dropout)
    return keras.Model(inputs, x, name="compact")

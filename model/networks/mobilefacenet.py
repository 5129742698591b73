"""MobileFaceNet: Chen et al. 2018, arXiv 1804.07573, Table 1."""

import keras

from facemill.model.networks.layers import convolution, depthwise, normalized

# (expansion, channels, repeats, stride of the first), as in Table 1.
_BOTTLENECKS = (
    (2, 64, 5, 2),
    (4, 128, 1, 2),
    (2, 128, 6, 1),
    (4, 128, 1, 2),
    (2, 128, 2, 1),
)


def build(image_size: int, embedding_size: int) -> keras.Model:
    """The network of Table 1; the size of the image sets that of its last depthwise kernel.

    Args:
        image_size: side of the image in pixels, 16 or more; the paper's is 112.
        embedding_size: D; the paper's is 128.

    Returns:
        float32 [N, image_size, image_size, 3] -> float32 [N, D].
    """
    inputs = keras.Input((image_size, image_size, 3))
    x = convolution(inputs, 64, strides=2)
    x = depthwise(x)
    for expansion, channels, repeats, strides in _BOTTLENECKS:
        for repeat in range(repeats):
            x = _bottleneck(x, expansion, channels, strides if repeat == 0 else 1)
    x = convolution(x, 512, kernel=1)
    # Global depthwise convolution: unlike in a mean, each position of the map has its own weight.
    x = keras.layers.DepthwiseConv2D(x.shape[1], padding="valid", use_bias=False)(x)
    x = normalized(x, activation=False)
    x = convolution(x, embedding_size, kernel=1, activation=False)
    return keras.Model(inputs, keras.layers.Flatten()(x), name="mobilefacenet")


def _bottleneck(
    x: keras.KerasTensor, expansion: int, channels: int, strides: int
) -> keras.KerasTensor:
    before = x
    x = convolution(x, expansion * before.shape[-1], kernel=1)
    x = depthwise(x, strides=strides)
    x = convolution(x, channels, kernel=1, activation=False)
    if strides == 1 and before.shape[-1] == channels:
        return keras.layers.Add()([before, x])
    return x

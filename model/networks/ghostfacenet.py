"""GhostFaceNet V1 of Alansari et al. 2023 (IEEE Access 11, pages 35429 to 35446).

A GhostNet (Han et al. 2020, arXiv 1911.11907, Table 1) of width 1.3 with PReLU, whose head is the
global depthwise convolution of MobileFaceNet. Half the channels of a ghost module are a pointwise
convolution, the other half a depthwise convolution of these.

It differs from the authors' code in three details: weights begin by Glorot's rule; squeeze and
excitation keeps ReLU between its convolutions, as in GhostNet; and the stem strides only from 96
pixels up (the paper's two variants, 1.3-2 and 1.3-1, are chosen by the size of the image).
"""

import keras

from facemill.model.networks.layers import convolution, depthwise, normalized, squeeze_excitation

_WIDTH = 1.3
# Kernel, expanded channels, channels, squeeze and excitation, stride: GhostNet's Table 1.
_BOTTLENECKS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    # The authors' code has 512 here and in the last convolution, where GhostNet has 960.
    (5, 512, 160, True, 1),
)
_LAST = 512
# From this size up the stem halves the image.
_STRIDE_FROM = 96


def build(image_size: int, embedding_size: int, dropout: float) -> keras.Model:
    """GhostFaceNet V1 of width 1.3.

    Args:
        image_size: side of the image in pixels, 32 or more; the paper's is 112.
        embedding_size: D; the paper's is 512.
        dropout: rate before the last convolution, 0 for none, as in the paper.

    Returns:
        float32 [N, image_size, image_size, 3] -> float32 [N, D].
    """
    inputs = keras.Input((image_size, image_size, 3))
    x = convolution(inputs, _wide(16), strides=2 if image_size >= _STRIDE_FROM else 1)
    for kernel, expanded, channels, squeezed, strides in _BOTTLENECKS:
        x = _bottleneck(x, kernel, _wide(expanded), _wide(channels), squeezed, strides)
    x = convolution(x, _wide(_LAST), kernel=1)
    x = keras.layers.DepthwiseConv2D(x.shape[1], padding="valid", use_bias=False)(x)
    x = normalized(x, activation=False)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Conv2D(embedding_size, 1, use_bias=False)(x)
    x = normalized(keras.layers.Flatten()(x), activation=False)
    return keras.Model(inputs, x, name="ghostfacenet")


def _wide(channels: int) -> int:
    """Channels times the width, to the nearest multiple of 4."""
    return int(channels * _WIDTH + 2) // 4 * 4


def _bottleneck(
    x: keras.KerasTensor, kernel: int, expanded: int, channels: int, squeezed: bool, strides: int
) -> keras.KerasTensor:
    before = x
    x = _ghost(x, expanded, activation=True)
    if strides > 1:
        x = depthwise(x, kernel, strides, activation=False)
    if squeezed:
        x = squeeze_excitation(x, _quarter(expanded), gate="hard_sigmoid")
    x = _ghost(x, channels, activation=False)
    if strides > 1 or before.shape[-1] != channels:
        before = depthwise(before, kernel, strides, activation=False)
        before = convolution(before, channels, kernel=1, activation=False)
    return keras.layers.Add()([before, x])


def _ghost(x: keras.KerasTensor, channels: int, activation: bool) -> keras.KerasTensor:
    x = convolution(x, channels // 2, kernel=1, activation=activation)
    return keras.layers.Concatenate()([x, depthwise(x, activation=activation)])


def _quarter(channels: int) -> int:
    """A quarter of the channels, to the nearest multiple of 4."""
    return max(4, (channels // 4 + 2) // 4 * 4)

"""IR-ResNets: the improved residual networks of ArcFace (Deng et al. 2019, arXiv 1801.07698, 3.1).

Depths and units are those of insightface's `iresnet.py`: BN-Conv-BN-PReLU-Conv-BN, the stride in
the second convolution, a stem that keeps the size of the image, and the head BN-Dropout-FC-BN. It
differs in two details: convolutions of stride 2 pad an even image at the right and the bottom
(TensorFlow's "same"), and weights begin by Glorot's rule, Keras's default.
"""

import keras

from facemill.model.networks.layers import (
    convolution,
    embedding_head,
    normalized,
    prelu,
    squeeze_excitation,
)

# Units in the stages of 64, 128, 256 and 512 channels; every stage halves the image.
UNITS = {
    "ir18": (2, 2, 2, 2),
    "ir34": (3, 4, 6, 3),
    "ir50": (3, 4, 14, 3),
    "ir100": (3, 13, 30, 3),
}
DROPOUT = 0.4
_CHANNELS = (64, 128, 256, 512)
# Of squeeze and excitation, as in IR-SE networks.
_REDUCTION = 16


def build(
    name: str, image_size: int, embedding_size: int, dropout: float, squeezed: bool
) -> keras.Model:
    """An IR-ResNet.

    Args:
        name: a key of `UNITS`, and the network's name.
        image_size: side of the image in pixels, 32 or more; the paper's is 112.
        embedding_size: D; the paper's is 512.
        dropout: rate before the last dense layer, 0 for none.
        squeezed: whether each unit ends with squeeze and excitation (IR-SE).

    Returns:
        float32 [N, image_size, image_size, 3] -> float32 [N, D].
    """
    inputs = keras.Input((image_size, image_size, 3))
    x = convolution(inputs, _CHANNELS[0])
    for channels, units in zip(_CHANNELS, UNITS[name], strict=True):
        for unit in range(units):
            x = _unit(x, channels, 2 if unit == 0 else 1, squeezed)
    return keras.Model(inputs, embedding_head(x, embedding_size, dropout), name=name)


def _unit(x: keras.KerasTensor, channels: int, strides: int, squeezed: bool) -> keras.KerasTensor:
    before = x
    x = normalized(x, activation=False)
    x = prelu(convolution(x, channels, activation=False))
    x = convolution(x, channels, strides=strides, activation=False)
    if squeezed:
        x = squeeze_excitation(x, channels // _REDUCTION)
    if strides != 1:
        before = convolution(before, channels, kernel=1, strides=strides, activation=False)
    return keras.layers.Add()([before, x])

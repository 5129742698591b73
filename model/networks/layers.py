"""Layers that the networks share."""

import keras


def convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel: int = 3,
    strides: int = 1,
    activation: bool = True,
) -> keras.KerasTensor:
    """Convolution, BatchNorm and, unless it is linear, PReLU with one slope per channel."""
    x = keras.layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)
    return normalized(x, activation)


def normalized(x: keras.KerasTensor, activation: bool = True) -> keras.KerasTensor:
    """BatchNorm and, unless it is linear, PReLU with one slope per channel."""
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    if not activation:
        return x
    return keras.layers.PReLU(
        shared_axes=list(range(1, len(x.shape) - 1)) or None,
        alpha_initializer=keras.initializers.Constant(0.25),
    )(x)

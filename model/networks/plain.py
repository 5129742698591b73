"""The plain network: three convolutions, each with pooling, and a dense layer."""

import keras

_FILTERS = (32, 64, 128)
_DENSE = 512


def build(image_size: int, embedding_size: int, dropout: float = 0.0) -> keras.Model:
    """Three 3x3 convolutions of 32, 64 and 128 filters, each with 2x2 max pooling; dense 512.

    It has no BatchNorm, so each image's result depends on that image alone, also in training. Tests
    therefore use it to compare the loss on several replicas exactly with that on one.

    Args:
        image_size: side of the image in pixels, 8 to 224. Nearly all weights are those of the dense
            layer, so their number grows with the area: 1.2 million at 32 pixels, 13 million at
            112 and 52 million at 224, with D = 128.
        embedding_size: D.
        dropout: rate before the dense layer of D units; without it there is no such layer.

    Returns:
        float32 [N, image_size, image_size, 3] -> float32 [N, D].
    """
    inputs = keras.Input((image_size, image_size, 3))
    x = inputs
    for filters in _FILTERS:
        x = keras.layers.Conv2D(
            filters, 3, padding="same", activation="relu", kernel_initializer="he_normal"
        )(x)
        x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(_DENSE, activation="relu", kernel_initializer="he_normal")(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(embedding_size)(x), name="plain")

"""Heads by name."""

import functools

import keras

from facemill.model.heads import margin as margins
from facemill.model.heads.softmax import Softmax


def build(name: str, classes: int, margin: float, scale: float) -> keras.layers.Layer:
    """A head; its first call creates the weights, from Keras's current seed.

    Args:
        name: one of `model.recipes.choices.HEADS`.
        classes: number of identities.
        margin: of ArcFace in radians, of CosFace in cosine; softmax has none.
        scale: of the cosines.

    Returns:
        A layer: (embeddings float32 [N, D], labels int [N]) -> logits float32 [N, classes].
    """
    if name == "softmax":
        return Softmax(classes)
    penalize = {"arcface": margins.arcface, "cosface": margins.cosface}[name]
    return margins.Margin(classes, scale, functools.partial(penalize, margin=margin))

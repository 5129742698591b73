"""Heads by name."""

import functools

from facemill.model.heads import margin as margins
from facemill.model.heads.base import Head
from facemill.model.heads.softmax import Softmax


def build(name: str, classes: int, margin: float, scale: float) -> Head:
    """A head; its first call creates the weights, from Keras's current seed.

    Args:
        name: one of `model.recipes.choices.HEADS`.
        classes: number of identities.
        margin: of ArcFace in radians, of CosFace in cosine; softmax has none.
        scale: of the cosines.

    Returns:
        A head; `losses` gives the loss of each example.
    """
    if name == "softmax":
        return Softmax(classes)
    penalize = {"arcface": margins.arcface, "cosface": margins.cosface}[name]
    return margins.Margin(classes, scale, functools.partial(penalize, margin=margin))

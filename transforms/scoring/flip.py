"""Averages the embeddings of a face and of its mirror image."""

import functools
from collections.abc import Callable

import numpy as np

from facemill.transforms.scoring.model import Embed


class FlipAverage:
    """Crops -> the sum of the embeddings of each crop and of its mirror image, of length 1.

    An embedding that is not finite, or a sum of 0, gives one that is not finite.

    Args:
        embed: the model.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The embeddings, float32 [N, D].

        Args:
            pixels: uint8 [N, S, S, 3].
        """
        mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
        both = self._embed(pixels) + self._embed(mirrored)
        with np.errstate(divide="ignore", invalid="ignore"):
            return both / np.linalg.norm(both, axis=1, keepdims=True)


def averaging(load: Callable[[str], Embed]) -> Callable[[str], Embed]:
    """What loads a model whose embeddings are averaged; it can be pickled if `load` can.

    Args:
        load: path of the network's file or folder -> the model.
    """
    return functools.partial(_load, load)


def _load(load: Callable[[str], Embed], path: str) -> FlipAverage:
    return FlipAverage(load(path))

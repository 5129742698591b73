"""Averages the embeddings of several views of a face: parts of its crop, and mirror images."""

import functools
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from facemill.transforms.scoring.model import Embed
from facemill.transforms.scoring.view_choices import PLACES

# Of the side of the crop, the side of a further square.
_SHARE = 0.92


class ViewAverage:
    """Crops -> the sum of the embeddings of views of each crop, of length 1.

    An embedding that is not finite, or a sum of 0, gives one that is not finite.

    Args:
        embed: the model.
        crops: how many squares of a crop are embedded, from 1 to `MOST_CROPS`: the crop itself,
            then squares inside it, each resized to its side.
        flip: whether the mirror image of each of them is embedded too.
    """

    def __init__(self, embed: Embed, crops: int, flip: bool) -> None:
        self._embed = embed
        self._crops = crops
        self._flip = flip

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The embeddings, float32 [N, D].

        Args:
            pixels: uint8 [N, S, S, 3].
        """
        total = sum(self._embed(view) for view in self._views(pixels))
        with np.errstate(divide="ignore", invalid="ignore"):
            return total / np.linalg.norm(total, axis=1, keepdims=True)

    def _views(self, pixels: np.ndarray) -> Iterator[np.ndarray]:
        for number in range(self._crops):
            squares = _square(pixels, number)
            yield squares
            if self._flip:
                yield np.ascontiguousarray(squares[:, :, ::-1])


def _square(pixels: np.ndarray, number: int) -> np.ndarray:
    """A square of each crop, resized to its side: uint8 [N, S, S, 3]; that of number 0 is all."""
    if number == 0:
        return pixels
    size = pixels.shape[1]
    side = round(size * _SHARE)
    left, top = (round(share * (size - side)) for share in PLACES[number - 1])
    inside = (np.ascontiguousarray(one[top : top + side, left : left + side]) for one in pixels)
    return np.stack(
        [cv2.resize(one, (size, size), interpolation=cv2.INTER_LINEAR) for one in inside]
    )


def averaging(load: Callable[[str], Embed], crops: int, flip: bool) -> Callable[[str], Embed]:
    """What loads a model whose embeddings are averaged; it can be pickled if `load` can.

    Args:
        load: path of the network's file or folder -> the model.
        crops: see `ViewAverage`.
        flip: see `ViewAverage`.

    Returns:
        `load` itself where a crop has one view.
    """
    return functools.partial(_load, load, crops, flip) if crops > 1 or flip else load


def _load(load: Callable[[str], Embed], crops: int, flip: bool, path: str) -> ViewAverage:
    return ViewAverage(load(path), crops, flip)

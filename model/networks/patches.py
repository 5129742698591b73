"""Four small networks for four parts of an aligned face, for a few thousand photos."""

from dataclasses import dataclass

import keras

from facemill.model.networks.layers import basic_stages, plain_embedding_head
from facemill.model.recipes.choices import PARTS

DROPOUT = 0.3
# (channels, blocks) of each stage; every stage halves the map first.
_STAGES = ((16, 1), (32, 1), (64, 1), (128, 1))


@dataclass(frozen=True)
class Patch:
    """A part of the image.

    Attributes:
        name: of the layers.
        rows: where it begins and ends, as shares of the image's side.
        columns: the same from left to right.
        cell: side of the squares of pixels that are averaged.
        stages: channels and blocks of each stage.
    """

    name: str
    rows: tuple[float, float]
    columns: tuple[float, float]
    cell: int
    stages: tuple[tuple[int, int], ...]


# For the template of 112 pixels to which alignment brings faces: the eyes lie at 0.46 of its
# height. A quarter of the resolution shows what no detail can hide.
PATCHES = (
    Patch("face", (0.0, 1.0), (0.0, 1.0), 2, _STAGES),
    Patch("eyes", (2 / 7, 9 / 14), (1 / 7, 6 / 7), 1, _STAGES),
    Patch("middle", (17 / 56, 45 / 56), (1 / 4, 3 / 4), 1, _STAGES),
    Patch("coarse", (0.0, 1.0), (0.0, 1.0), 4, _STAGES[1:]),
)


def build(image_size: int, embedding_size: int, dropout: float) -> keras.Model:
    """One network for each patch; the embedding is what they give, one after the other.

    Sun, Wang & Tang 2014, "Deep learning face representation from predicting 10,000 classes"
    (DeepID), section 3, where 60 such networks are trained one by one and judged together. Here
    they are trained in one step, and heads with centers judge each part of the embedding by itself
    (`parts` of `model.heads.margin`), so no network leans on another.

    Args:
        image_size: side of the image in pixels, 64 or more; it is made for 112.
        embedding_size: D, a multiple of 4.
        dropout: rate before each dense layer, 0 for none.

    Returns:
        float32 [N, image_size, image_size, 3] -> float32 [N, D], a quarter of D for each patch.
    """
    assert len(PATCHES) == PARTS["patches"]
    inputs = keras.Input((image_size, image_size, 3))
    size = embedding_size // len(PATCHES)
    found = [
        plain_embedding_head(basic_stages(_cut(inputs, patch), patch.stages), size, dropout)
        for patch in PATCHES
    ]
    return keras.Model(inputs, keras.layers.Concatenate()(found), name="patches")


def _cut(image: keras.KerasTensor, patch: Patch) -> keras.KerasTensor:
    side = image.shape[1]
    margins = tuple(
        (round(begin * side), side - round(end * side))
        for begin, end in (patch.rows, patch.columns)
    )
    if any(margins[0] + margins[1]):
        image = keras.layers.Cropping2D(margins, name=f"{patch.name}_cut")(image)
    if patch.cell > 1:
        image = keras.layers.AveragePooling2D(patch.cell, name=f"{patch.name}_averaged")(image)
    return image

"""From a decoded picture of any size to the square that is hashed, trained on and served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transforms.standardize import center_square, whole_picture

ALIGNMENTS = ("none", "center", "landmarks", "detect")


@dataclass(frozen=True)
class Look:
    """How pictures become squares; a dataset, its models and their scores share one.

    Attributes:
        size: side of the square in pixels.
        align: `none` resizes the whole picture, `center` its centered square, `landmarks` and
            `detect` bring five points of the face to the ArcFace template: the source's own, or
            those of a detector.
        fraction: of the shorter side that `center` keeps, in (0, 1].
    """

    size: int = 112
    align: str = "center"
    fraction: float = 1.0

    def to_manifest(self) -> dict[str, Any]:
        """As it stands in a manifest, under `preprocessing`."""
        return {"image_size": self.size, "align": self.align, "crop_fraction": self.fraction}

    @classmethod
    def from_manifest(cls, preprocessing: Mapping[str, Any]) -> "Look":
        """What `to_manifest` wrote."""
        return cls(
            preprocessing["image_size"], preprocessing["align"], preprocessing["crop_fraction"]
        )

    def alike(self, other: "Look") -> bool:
        """Whether both show the same part of a picture, be it at another size."""
        return self.align == other.align and self.fraction == other.fraction


@dataclass(frozen=True)
class Framed:
    """The square of one picture.

    Attributes:
        pixels: uint8 [size, size, 3], RGB.
        faces: how many the detector found, or None without one.
        score: of the chosen face in [0, 1], or None.
        box: of the chosen face, x0, y0, x1, y1 in pixels of the upright picture, or None.
    """

    pixels: np.ndarray
    faces: int | None = None
    score: float | None = None
    box: tuple[float, float, float, float] | None = None


def frame(
    look: Look,
    pictures: Sequence[np.ndarray],
    landmarks: Sequence[tuple[float, ...] | None],
) -> list[Framed | str]:
    """The squares of some pictures; a reason in place of one that has none.

    Args:
        look: how.
        pictures: N times uint8 [height, width, 3], RGB, upright.
        landmarks: N times the five points that the source knows, or None.
    """
    if look.align == "none":
        return [Framed(whole_picture(pixels, look.size)) for pixels in pictures]
    if look.align == "center":
        return [Framed(center_square(pixels, look.size, look.fraction)) for pixels in pictures]
    raise ValueError(f"align must be one of {ALIGNMENTS}, got {look.align!r}")

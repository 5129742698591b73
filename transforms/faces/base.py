"""The interface of face detectors, and the choice of one face of a photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face; the center of the image's first pixel is (0, 0).

    Attributes:
        box: left, top, right and bottom edge in pixels; may reach beyond the image.
        score: confidence of the detector, in [0, 1].
        landmarks: float32 [5, 2], (x, y) of the left eye, the right eye, the tip of the nose and
            the left and right corner of the mouth, in pixels, left as the viewer sees it. A
            detector that knows only the center of the mouth gives [4, 2].
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray

    @property
    def area(self) -> float:
        """The area of the box in square pixels."""
        left, top, right, bottom = self.box
        return max(0.0, right - left) * max(0.0, bottom - top)


class Detector(Protocol):
    """Finds faces. The result for an image never depends on the other images of its batch."""

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """The faces of each image, by decreasing score.

        Args:
            images: uint8 [height, width, 3], RGB, of any sizes.
        """
        ...


@dataclass(frozen=True)
class Choice:
    """The face that is chosen for a photo.

    Attributes:
        face: None if no face was found.
        found: number of faces found.
    """

    face: Face | None
    found: int

    @property
    def outcome(self) -> str:
        """`none`, `one` or `several`."""
        return ("none", "one", "several")[min(self.found, 2)]


def by_weight(faces: Sequence[Face], width: int, height: int) -> list[Face]:
    """The faces of a photo, the one that it shows most first.

    The weight of a face is the area of its box times (1 - d)^2, where d is the distance of the
    box's center from the photo's, 0 in the center and 1 in a corner or beyond. So a face in the
    middle has the weight of one of four times its area halfway to a corner. Of equal weights the
    higher score comes first, then the face further left, then the upper one.

    Args:
        faces: of one photo.
        width: of the photo in pixels.
        height: of the photo in pixels.
    """

    def key(face: Face) -> tuple[float, float, float, float]:
        left, top, right, bottom = face.box
        x, y = (left + right + 1 - width) / 2, (top + bottom + 1 - height) / 2
        distance = min(1.0, float(np.hypot(x, y) / np.hypot(width / 2, height / 2)))
        return face.area * (1 - distance) ** 2, face.score, -left, -top

    return sorted(faces, key=key, reverse=True)


def choose(faces: Sequence[Face], width: int, height: int) -> Choice:
    """Chooses the largest face near the center, where photos usually show their subject.

    Args:
        faces: of one photo.
        width: of the photo in pixels.
        height: of the photo in pixels.
    """
    ordered = by_weight(faces, width, height)
    return Choice(ordered[0] if ordered else None, len(ordered))

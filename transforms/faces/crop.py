"""From a decoded picture of any size to the square that is hashed, trained on and served."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.transforms.core import cores
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.faces import registry
from facemill.transforms.faces.base import Detector, Face, choose
from facemill.transforms.faces.choices import DETECTORS
from facemill.transforms.faces.template import AlignmentError, align
from facemill.transforms.images.resize import center_square, whole_picture

NO_FACE = Reason(ReasonCode.NO_FACE, "no face was found")
NO_LANDMARKS = Reason(ReasonCode.NO_LANDMARKS, "the source has no landmarks of it")


@dataclass(frozen=True)
class CropConfig:
    """How pictures become squares; a dataset, its models and their scores share one.

    Attributes:
        size: side of the square in pixels.
        align: `none` resizes the whole picture, `center` its centered square, `landmarks` and
            `detect` bring five points of the face to the ArcFace template: the source's own, or
            those of a detector.
        fraction: of the shorter side that `center` keeps, in (0, 1].
        detector: of `detect`, one of `transforms.faces.choices.DETECTORS`.
    """

    size: int = 112
    align: str = "center"
    fraction: float = 1.0
    detector: str = DETECTORS[0]

    def to_manifest(self) -> dict[str, Any]:
        """As it stands in a manifest, under `preprocessing`."""
        found = {"image_size": self.size, "align": self.align, "crop_fraction": self.fraction}
        return {**found, "detector": self.detector} if self.align == "detect" else found

    @classmethod
    def from_manifest(cls, preprocessing: Mapping[str, Any]) -> "CropConfig":
        """What `to_manifest` wrote."""
        return cls(
            preprocessing["image_size"],
            preprocessing["align"],
            preprocessing["crop_fraction"],
            preprocessing.get("detector", cls.detector),
        )

    def alike(self, other: "CropConfig") -> bool:
        """Whether both show the same part of a picture, be it at another size."""
        return self.to_manifest() | {"image_size": 0} == other.to_manifest() | {"image_size": 0}


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
    crop_config: CropConfig,
    pictures: Sequence[np.ndarray],
    landmarks: Sequence[tuple[float, ...] | None],
) -> list[Framed | Reason]:
    """The squares of some pictures; a reason in place of one that has none.

    Args:
        crop_config: how.
        pictures: N times uint8 [height, width, 3], RGB, upright.
        landmarks: N times the five points that the source knows, or None.
    """
    if crop_config.align == "none":
        return [Framed(whole_picture(pixels, crop_config.size)) for pixels in pictures]
    if crop_config.align == "center":
        return [
            Framed(center_square(pixels, crop_config.size, crop_config.fraction))
            for pixels in pictures
        ]
    if crop_config.align == "landmarks":
        return [
            _by_landmarks(pixels, points, crop_config.size)
            for pixels, points in zip(pictures, landmarks, strict=True)
        ]
    found = _detect(crop_config.detector, pictures)
    return [
        _by_faces(pixels, faces, crop_config.size)
        for pixels, faces in zip(pictures, found, strict=True)
    ]


def check_detector(crop_config: CropConfig) -> None:
    """Makes sure that the detector can work, where one is wanted.

    Raises:
        UsageError: its package is not installed.
    """
    if crop_config.align == "detect":
        _detect(crop_config.detector, ())


# Loaded detectors that no thread is using, by name. One takes 70 MB or more and up to seconds to
# load, and threads must not use it at the same time; more of them than cores would be idle.
_free: defaultdict[str, list[Detector]] = defaultdict(list)
_at_a_time = threading.BoundedSemaphore(cores.usable())


def _detect(name: str, pictures: Sequence[np.ndarray]) -> list[list[Face]]:
    """The faces of pictures; engines call this from several threads of a process."""
    with _at_a_time:
        try:
            mine = _free[name].pop()
        except IndexError:
            mine = registry.load(name)
        found = mine.detect(pictures)
        # After a failure nobody knows what state it is in.
        _free[name].append(mine)
    return found


def _by_landmarks(
    pixels: np.ndarray, points: tuple[float, ...] | None, size: int
) -> Framed | Reason:
    if points is None:
        return NO_LANDMARKS
    try:
        return Framed(align(pixels, np.reshape(points, (-1, 2)), size))
    except AlignmentError as error:
        return error.reason


def _by_faces(pixels: np.ndarray, faces: Sequence[Face], size: int) -> Framed | Reason:
    choice = choose(faces, width=pixels.shape[1], height=pixels.shape[0])
    if choice.face is None:
        return NO_FACE
    try:
        square = align(pixels, choice.face.landmarks, size)
    except AlignmentError as error:
        return error.reason
    left, top, right, bottom = (float(edge) for edge in choice.face.box)
    return Framed(square, choice.found, float(choice.face.score), (left, top, right, bottom))

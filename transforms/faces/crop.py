"""From a decoded image of any size to the crop that is hashed, trained on and served."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facemill.transforms.core import cores
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.faces import registry
from facemill.transforms.faces.base import Detector, Face, by_weight, choose
from facemill.transforms.faces.choices import DETECTORS
from facemill.transforms.faces.template import AlignmentError, align
from facemill.transforms.images.resize import center_square, resize_to_square

NO_FACE = Reason(ReasonCode.NO_FACE, "no face was found")
NO_LANDMARKS = Reason(ReasonCode.NO_LANDMARKS, "the source has no landmarks of it")


@dataclass(frozen=True)
class CropConfig:
    """How images are cropped; a dataset, its models and their embeddings share one.

    Attributes:
        size: side of the crop in pixels.
        align: `none` resizes the whole image, `center` its centered square, `landmarks` and
            `detect` map five points of the face to the ArcFace template: the source's own, or
            those of a detector.
        fraction: of the shorter side that `center` keeps, in (0, 1].
        detector: for `detect`, one of `transforms.faces.choices.DETECTORS`.
        raised: for `center`, the share of the shorter side by which the square lies above the
            center, as faces do in many photos.
    """

    size: int = 112
    align: str = "center"
    fraction: float = 1.0
    detector: str = DETECTORS[0]
    raised: float = 0.0

    def to_manifest(self) -> dict[str, Any]:
        """The value of `preprocessing` in a manifest."""
        found = {"image_size": self.size, "align": self.align, "crop_fraction": self.fraction}
        if self.align == "detect":
            found["detector"] = self.detector
        if self.align == "center" and self.raised:
            found["crop_raised"] = self.raised
        return found

    @classmethod
    def from_manifest(cls, preprocessing: Mapping[str, Any]) -> "CropConfig":
        """The config that `to_manifest` wrote."""
        return cls(
            preprocessing["image_size"],
            preprocessing["align"],
            preprocessing["crop_fraction"],
            preprocessing.get("detector", cls.detector),
            preprocessing.get("crop_raised", cls.raised),
        )

    def same_region(self, other: "CropConfig") -> bool:
        """Whether both crop the same region of an image, at the same or another size."""
        return self.to_manifest() | {"image_size": 0} == other.to_manifest() | {"image_size": 0}


@dataclass(frozen=True)
class Crop:
    """The crop of one image.

    Attributes:
        pixels: uint8 [size, size, 3], RGB.
        faces: number of faces that the detector found, or None without a detector.
        score: of the chosen face in [0, 1], or None.
        box: of the chosen face, x0, y0, x1, y1 in pixels of the upright image, or None.
        landmarks: of the chosen face, x and y of each point of `Face.landmarks` in turn, in pixels
            of the upright image, or None.
    """

    pixels: np.ndarray
    faces: int | None = None
    score: float | None = None
    box: tuple[float, float, float, float] | None = None
    landmarks: tuple[float, ...] | None = None


def frame(
    crop_config: CropConfig,
    images: Sequence[np.ndarray],
    landmarks: Sequence[tuple[float, ...] | None],
    scales: Sequence[float] | None = None,
) -> list[Crop | Reason]:
    """The crops of images; a reason for each image that cannot be cropped.

    Args:
        crop_config: how to crop.
        images: N times uint8 [height, width, 3], RGB, upright.
        landmarks: N times the source's five points, x and y of each in pixels of the photo, or
            None.
        scales: N times the pixels of the photo for each pixel of the image; None if all are 1.
    """
    if scales is not None and any(scale != 1 for scale in scales):
        return _frame_scaled(crop_config, images, landmarks, scales)
    if crop_config.align == "none":
        return [Crop(resize_to_square(pixels, crop_config.size)) for pixels in images]
    if crop_config.align == "center":
        return [
            Crop(center_square(pixels, crop_config.size, crop_config.fraction, crop_config.raised))
            for pixels in images
        ]
    if crop_config.align == "landmarks":
        return [
            _by_landmarks(pixels, points, crop_config.size)
            for pixels, points in zip(images, landmarks, strict=True)
        ]
    found = _detect(crop_config.detector, images)
    return [
        _by_faces(pixels, faces, crop_config.size)
        for pixels, faces in zip(images, found, strict=True)
    ]


def frame_all_faces(
    crop_config: CropConfig, images: Sequence[np.ndarray], scales: Sequence[float]
) -> list[list[Crop | Reason]]:
    """The crops of all faces of each image, by decreasing weight; see `faces.base.by_weight`.

    Args:
        crop_config: how to crop; its `align` is `detect`.
        images: N times uint8 [height, width, 3], RGB, upright.
        scales: N times the pixels of the photo for each pixel of the image.

    Returns:
        For each image a crop, or the reason why there is none, for each face; one reason where no
        face was found.
    """
    found = _detect(crop_config.detector, images)
    return [
        [
            _enlarge(_of_face(pixels, face, len(faces), crop_config.size), scale)
            for face in by_weight(faces, width=pixels.shape[1], height=pixels.shape[0])
        ]
        or [NO_FACE]
        for pixels, faces, scale in zip(images, found, scales, strict=True)
    ]


def _frame_scaled(
    crop_config: CropConfig,
    images: Sequence[np.ndarray],
    landmarks: Sequence[tuple[float, ...] | None],
    scales: Sequence[float],
) -> list[Crop | Reason]:
    smaller = [
        None if points is None else tuple(value / scale for value in points)
        for points, scale in zip(landmarks, scales, strict=True)
    ]
    framed = frame(crop_config, images, smaller)
    return [_enlarge(one, scale) for one, scale in zip(framed, scales, strict=True)]


def _enlarge(one: Crop | Reason, scale: float) -> Crop | Reason:
    """The crop with its box and landmarks in pixels of the photo, not of a smaller image."""
    if isinstance(one, Reason) or one.box is None or scale == 1:
        return one
    left, top, right, bottom = one.box
    box = (left * scale, top * scale, right * scale, bottom * scale)
    points = tuple(value * scale for value in one.landmarks or ())
    return replace(one, box=box, landmarks=points)


def check_detector(crop_config: CropConfig) -> None:
    """Loads the detector, if the config uses one, to check that it can run.

    Raises:
        UsageError: its package is not installed.
    """
    if crop_config.align == "detect":
        _detect(crop_config.detector, ())


# Loaded detectors that no thread is using, by name. Each takes 70 MB or more and up to seconds to
# load, and only one thread may use it at a time; more detectors than cores would be idle.
_idle: defaultdict[str, list[Detector]] = defaultdict(list)
_detector_slots = threading.BoundedSemaphore(cores.usable())


def _detect(name: str, images: Sequence[np.ndarray]) -> list[list[Face]]:
    """The faces of images; runners call this from several threads of a process."""
    with _detector_slots:
        try:
            detector = _idle[name].pop()
        except IndexError:
            detector = registry.load(name)
        found = detector.detect(images)
        # A detector that raised an error is not returned: its state is unknown.
        _idle[name].append(detector)
    return found


def _by_landmarks(pixels: np.ndarray, points: tuple[float, ...] | None, size: int) -> Crop | Reason:
    if points is None:
        return NO_LANDMARKS
    try:
        return Crop(align(pixels, np.reshape(points, (-1, 2)), size))
    except AlignmentError as error:
        return error.reason


def _by_faces(pixels: np.ndarray, faces: Sequence[Face], size: int) -> Crop | Reason:
    choice = choose(faces, width=pixels.shape[1], height=pixels.shape[0])
    if choice.face is None:
        return NO_FACE
    return _of_face(pixels, choice.face, choice.found, size)


def _of_face(pixels: np.ndarray, face: Face, found: int, size: int) -> Crop | Reason:
    try:
        crop = align(pixels, face.landmarks, size)
    except AlignmentError as error:
        return error.reason
    left, top, right, bottom = (float(edge) for edge in face.box)
    points = tuple(np.asarray(face.landmarks, np.float32).ravel().tolist())
    return Crop(crop, found, float(face.score), (left, top, right, bottom), points)

"""BlazeFace, the detector of MediaPipe, as a `Detector`.

The first pass finds faces in the whole image: with the network for near faces, and where that finds
only small ones or none, with the slower network for small faces. Each further pass runs the network
on each face, upright and at a fixed size, and on its mirror image, and replaces the landmarks. So
they hardly depend on the framing of the photo, and a mirrored photo has mirrored landmarks.
"""

from collections.abc import Sequence

import numpy as np

from facemill.transforms.faces import template
from facemill.transforms.faces.base import Face
from facemill.transforms.faces.blaze_network import (
    BACK_RANGE,
    SHORT_RANGE,
    Network,
    Runner,
    decode,
    letterbox,
    merge,
)

# Share of the longer side of an image: faces smaller than this are left to the next network. The
# short range network detects some, but at times so far off that further passes miss the face.
_NEAR = 0.2
# Distance between the eyes in a further pass, as a share of the network's input.
_EYES = 0.22
# Order of left eye, right eye, nose and mouth after mirroring.
_MIRRORED = [1, 0, 2, 3]


class BlazeFace:
    """Finds faces in batches.

    Args:
        networks: for the first pass; each gets the images in which the earlier ones found no face
            of a fifth of the longer side; if it finds none, the earlier faces stay.
        passes: 1 or more; after the first, always with SHORT_RANGE.
        min_score: in (0, 1); detections below it are dropped.
        max_overlap: intersection over union, in (0, 1), from which two detections are one face.
        batch_size: images in one call of a network.
        threads: of a network.

    Raises:
        UsageError: a package is missing.
    """

    def __init__(
        self,
        networks: Sequence[Network] = (SHORT_RANGE, BACK_RANGE),
        *,
        passes: int = 3,
        min_score: float = 0.5,
        max_overlap: float = 0.3,
        batch_size: int = 8,
        threads: int = 1,
    ) -> None:
        self._min_logit = float(np.log(min_score / (1 - min_score)))
        self._max_overlap = max_overlap
        self._runners = [Runner(network, batch_size, threads) for network in networks]
        self._near: Runner | None = None
        if passes > 1:
            # The first pass may have loaded it already.
            loaded = (one for one in self._runners if one.network == SHORT_RANGE)
            self._near = next(loaded, None) or Runner(SHORT_RANGE, batch_size, threads)
        self._passes = passes

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """See `Detector.detect`."""
        found: list[list[Face]] = [[] for _ in images]
        for runner in self._runners:
            left = [index for index, faces in enumerate(found) if _is_far(faces, images[index])]
            detected = self._first_pass(runner, [images[index] for index in left])
            for index, faces in zip(left, detected, strict=True):
                found[index] = faces or found[index]
        if self._near is not None:
            for _ in range(self._passes - 1):
                found = self._refine(self._near, images, found)
        return found

    def _first_pass(self, runner: Runner, images: Sequence[np.ndarray]) -> list[list[Face]]:
        side = runner.network.side
        boxed = [letterbox(image, side) for image in images]
        results = runner.run([square for square, _, _ in boxed])
        found = []
        for (_, scale, shift), (values, logits) in zip(boxed, results, strict=True):
            faces, scores = self._faces(runner, values, logits)
            # From pixel edges in the letterbox to pixel centers in the image.
            faces = (faces - shift) / scale - 0.5
            found.append([_face(face, score) for face, score in zip(faces, scores, strict=True)])
        return found

    def _faces(
        self, runner: Runner, values: np.ndarray, logits: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.flatnonzero(logits >= self._min_logit)
        faces = decode(values[chosen], runner.anchors[chosen], runner.network.side)
        scores = 1 / (1 + np.exp(-logits[chosen].astype(np.float64)))
        return merge(faces, scores, self._max_overlap)

    def _refine(
        self, near: Runner, images: Sequence[np.ndarray], found: list[list[Face]]
    ) -> list[list[Face]]:
        side = near.network.side
        views, crops = [], []
        for index, faces in enumerate(found):
            for rank, face in enumerate(faces):
                view = _view(face.landmarks, side)
                if view is None:
                    continue
                crop = template.warp(images[index], view, side)
                views.append((index, rank, view))
                crops += [crop, crop[:, ::-1]]
        outputs = iter(near.run(crops))
        for index, rank, view in views:
            points = [self._nearest(near, *next(outputs)), self._nearest(near, *next(outputs))]
            if points[0] is None or points[1] is None:
                continue
            mirrored = points[1][_MIRRORED] * (-1, 1) + (side - 1, 0)
            landmarks = view.inverse().apply((points[0] + mirrored) / 2).astype(np.float32)
            face = found[index][rank]
            found[index][rank] = Face(face.box, face.score, landmarks)
        return found

    def _nearest(self, near: Runner, values: np.ndarray, logits: np.ndarray) -> np.ndarray | None:
        """Landmarks of the face in the middle of a crop, float64 [4, 2] in the crop's pixels.

        None if there is none: a face further off than the eyes are apart is a neighbor.
        """
        faces, _ = self._faces(near, values, logits)
        if not len(faces):
            return None
        side = near.network.side
        points = faces[:, 2:] - 0.5
        apart = np.hypot(*(points.mean(axis=1) - _goal(side).mean(axis=0)).T)
        return points[np.argmin(apart)] if apart.min() < _EYES * side else None


def _is_far(faces: Sequence[Face], image: np.ndarray) -> bool:
    """Whether no face is large enough for the landmarks of the last network to be reliable."""
    largest = max((face.area for face in faces), default=0.0)
    return largest < (_NEAR * max(image.shape[:2])) ** 2


def _goal(side: int) -> np.ndarray:
    """Where a further pass expects the landmarks, float64 [4, 2]."""
    points = template.template(side, 4)
    middle = (side - 1) / 2
    return middle + (points - middle) * (_EYES * side / (points[1, 0] - points[0, 0]))


def _view(landmarks: np.ndarray, side: int) -> template.Similarity | None:
    try:
        return template.similarity(landmarks, _goal(side))
    except template.AlignmentError:
        return None


def _face(points: np.ndarray, score: float) -> Face:
    (left, top), (right, bottom) = points[:2].tolist()
    return Face((left, top, right, bottom), float(score), points[2:].astype(np.float32))

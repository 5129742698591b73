"""BlazeFace, the detector of MediaPipe, as a detector of this project.

The first look at the whole photo finds the faces: with the network for near faces, and where that
finds only small ones or none, with the slower one for those. Each further look at a face, upright
and always of the same size, and at its mirror image, places its landmarks anew: so they hardly
depend on how the photo is framed, and a mirrored photo has mirrored landmarks.
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

# Of the longer side of a photo: smaller faces than this are for the next network. The short range
# network still answers for them, but at times so far off that no further look finds the face.
_NEAR = 0.2
# Distance between the eyes in a further look, as a part of its side.
_EYES = 0.22
# What mirroring makes of the left eye, the right eye, the nose and the mouth.
_MIRRORED = [1, 0, 2, 3]


class BlazeFace:
    """Finds faces in batches.

    Args:
        networks: for the first look; each sees the photos in which those before it found no face of
            a fifth of the longer side; if it finds none, what they found stays.
        looks: 1 or more; after the first, always with SHORT_RANGE.
        min_score: in (0, 1), below which nothing is a face.
        max_overlap: intersection over union, in (0, 1), from which two boxes are one face.
        batch_size: images in one call of a network.
        threads: of a network.

    Raises:
        UsageError: a package is missing.
    """

    def __init__(
        self,
        networks: Sequence[Network] = (SHORT_RANGE, BACK_RANGE),
        *,
        looks: int = 3,
        min_score: float = 0.5,
        max_overlap: float = 0.3,
        batch_size: int = 8,
        threads: int = 1,
    ) -> None:
        self._min_logit = float(np.log(min_score / (1 - min_score)))
        self._max_overlap = max_overlap
        self._runners = [Runner(network, batch_size, threads) for network in networks]
        self._near: Runner | None = None
        if looks > 1:
            # The first look may have it loaded already.
            loaded = (one for one in self._runners if one.network == SHORT_RANGE)
            self._near = next(loaded, None) or Runner(SHORT_RANGE, batch_size, threads)
        self._inspect = looks

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """The faces of each image, the surest first; `Detector` gives the terms."""
        found: list[list[Face]] = [[] for _ in images]
        for runner in self._runners:
            left = [place for place, faces in enumerate(found) if _is_far(faces, images[place])]
            looks = self._look(runner, [images[place] for place in left])
            for place, faces in zip(left, looks, strict=True):
                found[place] = faces or found[place]
        if self._near is not None:
            for _ in range(self._inspect - 1):
                found = self._look_again(self._near, images, found)
        return found

    def _look(self, runner: Runner, images: Sequence[np.ndarray]) -> list[list[Face]]:
        side = runner.network.side
        boxed = [letterbox(image, side) for image in images]
        results = runner.run([square for square, _, _ in boxed])
        found = []
        for (_, scale, shift), (values, logits) in zip(boxed, results, strict=True):
            faces, scores = self._faces(runner, values, logits)
            # Edges of pixels in the square to centers of pixels in the photo.
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

    def _look_again(
        self, near: Runner, images: Sequence[np.ndarray], found: list[list[Face]]
    ) -> list[list[Face]]:
        side = near.network.side
        views, squares = [], []
        for place, faces in enumerate(found):
            for rank, face in enumerate(faces):
                view = _view(face.landmarks, side)
                if view is None:
                    continue
                square = template.warp(images[place], view, side)
                views.append((place, rank, view))
                squares += [square, square[:, ::-1]]
        looks = iter(near.run(squares))
        for place, rank, view in views:
            points = [self._nearest(near, *next(looks)), self._nearest(near, *next(looks))]
            if points[0] is None or points[1] is None:
                continue
            mirrored = points[1][_MIRRORED] * (-1, 1) + (side - 1, 0)
            landmarks = view.inverse().apply((points[0] + mirrored) / 2).astype(np.float32)
            face = found[place][rank]
            found[place][rank] = Face(face.box, face.score, landmarks)
        return found

    def _nearest(self, near: Runner, values: np.ndarray, logits: np.ndarray) -> np.ndarray | None:
        """Landmarks of the face in the middle, float64 [4, 2] in the square's pixels.

        None if there is none: what is further off than the eyes are apart is a neighbor.
        """
        faces, _ = self._faces(near, values, logits)
        if not len(faces):
            return None
        side = near.network.side
        points = faces[:, 2:] - 0.5
        apart = np.hypot(*(points.mean(axis=1) - _goal(side).mean(axis=0)).T)
        return points[np.argmin(apart)] if apart.min() < _EYES * side else None


def _is_far(faces: Sequence[Face], image: np.ndarray) -> bool:
    """Whether there is no face large enough for the network just used to have placed it well."""
    largest = max((face.area for face in faces), default=0.0)
    return largest < (_NEAR * max(image.shape[:2])) ** 2


def _goal(side: int) -> np.ndarray:
    """Where a further look expects the landmarks, float64 [4, 2]."""
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

"""MTCNN, a cascade of three networks that finds five landmarks, run by TensorFlow.

Zhang, Zhang, Li, Qiao: Joint face detection and alignment using multitask cascaded convolutional
networks, IEEE Signal Processing Letters 23(10), 2016. Networks and weights are those of the PyPI
package mtcnn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facemill.transforms.core.errors import MissingPackageError
from facemill.transforms.core.tensorflow_threads import bound_tensorflow_threads
from facemill.transforms.faces.base import Face

_LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


class Mtcnn:
    """Finds faces, one image at a time: in a batch the package would pad images to one size.

    Args:
        min_face: side in pixels of the smallest face to find.

    Raises:
        MissingPackageError: the package is missing.
    """

    def __init__(self, *, min_face: int = 20) -> None:
        try:
            from mtcnn import MTCNN
        except ImportError as error:
            raise MissingPackageError(
                "The detector mtcnn must have the package",
                error.name or "mtcnn",
                "it with: pip install 'facemill[mtcnn]'",
            ) from None
        bound_tensorflow_threads()
        self._network = MTCNN()
        self._min_face = min_face

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """See `Detector.detect`."""
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: np.ndarray) -> list[Face]:
        found = self._network.detect_faces(
            image, fit_to_image=False, box_format="xyxy", min_face_size=self._min_face
        )
        return sorted((_face(each) for each in found), key=lambda face: -face.score)


def _face(found: dict[str, Any]) -> Face:
    left, top, right, bottom = (float(edge) for edge in found["box"])
    points = [found["keypoints"][name] for name in _LANDMARKS]
    return Face(
        (left, top, right, bottom), float(found["confidence"]), np.array(points, np.float32)
    )

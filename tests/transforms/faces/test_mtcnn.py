"""The adapter of MTCNN: coordinates and order of the landmarks in drawn faces."""

import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.faces.mtcnn import Mtcnn

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    return Mtcnn()


def test_landmarks_have_the_order_of_a_face(detector) -> None:
    around = ((60, 40), (90, 20), (0, 0))
    faces = [render(0, number, 0, 112) for number in range(6)]
    found = detector.detect([np.pad(face, around, constant_values=128) for face in faces])
    # MTCNN does not find every drawn face.
    assert sum(len(faces) == 1 for faces in found) >= 4
    for face in (faces[0] for faces in found if faces):
        left, top, right, bottom = face.box
        eye, other, nose, mouth, corner = face.landmarks.tolist()
        # The face itself lies in x 90..202 and y 60..172.
        assert 80 < left < eye[0] < nose[0] < other[0] < right < 212
        assert 50 < top < eye[1] < nose[1] < mouth[1] < bottom < 182
        assert eye[0] < corner[0]
        assert mouth[0] < corner[0]
        assert 0.5 < face.score <= 1
        assert face.landmarks.shape == (5, 2)


def test_a_batch_gives_the_faces_of_single_images(detector) -> None:
    photos = [render(0, number, 0, 100 + 20 * number) for number in range(3)]
    together = detector.detect(photos)
    for photo, faces in zip(photos, together, strict=True):
        (alone,) = detector.detect([photo])
        assert [face.box for face in alone] == [face.box for face in faces]


def test_an_image_too_small_for_a_face_has_none(detector) -> None:
    assert detector.detect([np.zeros((16, 16, 3), np.uint8)]) == [[]]

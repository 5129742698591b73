"""Detection of drawn faces: alone and in batches, moved, mirrored, beside others."""

import cv2
import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.faces.blaze_network import BACK_RANGE, FULL_RANGE, SHORT_RANGE
from facemill.transforms.faces.blazeface import BlazeFace


def drawn(identity: int, image: int = 0, size: int = 112, border: int = 50) -> np.ndarray:
    """A drawn face in the middle of a grey photo."""
    around = ((border, border), (border, border), (0, 0))
    return np.pad(render(0, identity, image, size), around, constant_values=128)


@pytest.fixture(
    scope="module", params=(SHORT_RANGE, BACK_RANGE, FULL_RANGE), ids=lambda network: network.file
)
def any_detector(request) -> BlazeFace:
    return BlazeFace(
        (request.param,), passes=2 if request.param is SHORT_RANGE else 1, batch_size=3
    )


@pytest.fixture(scope="module")
def detector() -> BlazeFace:
    return BlazeFace()


def test_a_batch_gives_the_faces_of_single_images(any_detector) -> None:
    # Two batches of three, then one image alone.
    images = [drawn(number, size=80 + 9 * number) for number in range(7)]
    together = any_detector.detect(images)
    alone = [any_detector.detect([image])[0] for image in images]
    backwards = any_detector.detect(images[::-1])[::-1]
    assert [len(faces) for faces in together] == [1] * 7
    for first, second, third in zip(together, alone, backwards, strict=True):
        assert first[0].box == second[0].box == third[0].box
        assert first[0].score == second[0].score == third[0].score
        assert np.array_equal(first[0].landmarks, second[0].landmarks)
        assert np.array_equal(first[0].landmarks, third[0].landmarks)


def test_the_number_of_threads_does_not_change_faces(detector) -> None:
    images = [drawn(number) for number in range(9)]
    threaded = BlazeFace(threads=2).detect(images)
    for first, second in zip(detector.detect(images), threaded, strict=True):
        assert first[0].box == second[0].box
        assert np.array_equal(first[0].landmarks, second[0].landmarks)


def test_landmarks_have_the_order_of_a_face(any_detector) -> None:
    for faces in any_detector.detect([drawn(number) for number in range(8)]):
        (face,) = faces
        left, top, right, bottom = face.box
        eye, other, nose, mouth = face.landmarks.tolist()
        assert left < eye[0] < nose[0] < other[0] < right
        assert eye[0] < mouth[0] < other[0]
        assert top < eye[1] < nose[1] < mouth[1] < bottom
        assert 0.5 <= face.score <= 1
        assert face.landmarks.dtype == np.float32


def test_landmarks_move_with_the_face(detector) -> None:
    image = drawn(2, border=60)
    turn = cv2.getRotationMatrix2D((100, 90), 12, 0.8) + np.array([[0, 0, 30], [0, 0, 24]])
    moved = cv2.warpAffine(image, turn, (260, 220), borderValue=(128, 128, 128))
    (before,), (after,) = detector.detect([image, moved])
    expected = before.landmarks @ turn[:, :2].T + turn[:, 2]
    # The eyes are about 35 pixels apart; a wrong scale or half a cell would be further off.
    assert np.abs(after.landmarks - expected).max() < 3


def test_landmarks_of_a_mirrored_face_follow_the_viewers_left(detector) -> None:
    image = drawn(3)
    (straight,), (mirrored,) = detector.detect([image, np.ascontiguousarray(image[:, ::-1])])
    back = mirrored.landmarks[[1, 0, 2, 3]] * (-1, 1) + (image.shape[1] - 1, 0)
    assert np.abs(back - straight.landmarks).max() < 2


def test_two_faces_in_a_photo_are_both_found(detector) -> None:
    image = np.concatenate([drawn(1), drawn(4)], axis=1)
    ((first, second),) = detector.detect([image])
    assert abs(first.box[0] - second.box[0]) > 100


def test_the_first_pass_finds_small_faces_with_the_second_network() -> None:
    image = np.full((900, 900, 3), 128, np.uint8)
    image[300:412, 500:612] = render(0, 2, 0, 112)
    assert BlazeFace((SHORT_RANGE,)).detect([image]) == [[]]
    ((face,),) = BlazeFace().detect([image])
    left, top, right, bottom = face.box
    assert 490 < left < right < 622
    assert 290 < top < bottom < 422


def test_a_small_face_stays_if_the_next_network_finds_none() -> None:
    image = np.pad(drawn(2), ((180, 180), (180, 180), (0, 0)), constant_values=128)
    (near,) = BlazeFace((SHORT_RANGE,), passes=1, min_score=0.2).detect([image])
    assert near
    blind = BlazeFace((SHORT_RANGE, BACK_RANGE), passes=1, min_score=0.2)
    blind._runners[1].run = lambda squares: (
        (np.zeros((896, 16), np.float32), np.full(896, -9, np.float32)) for _ in squares
    )
    assert [face.box for face in blind.detect([image])[0]] == [face.box for face in near]


def test_further_passes_improve_the_landmarks_of_small_faces(detector) -> None:
    close = [drawn(number) for number in range(6)]
    far = [np.pad(image, ((250, 250), (250, 250), (0, 0)), constant_values=128) for image in close]
    apart = {}
    for name, finder in (("one", BlazeFace(passes=1)), ("more", detector)):
        pairs = zip(finder.detect(close), finder.detect(far), strict=True)
        apart[name] = np.mean(
            [np.abs(b[0].landmarks - 250 - a[0].landmarks).mean() for a, b in pairs if a and b]
        )
    assert apart["more"] < 0.6 * apart["one"]


def test_wide_and_tall_photos_keep_their_coordinates(detector) -> None:
    wide = np.full((212, 500, 3), 128, np.uint8)
    wide[:, 250:462] = drawn(5)
    tall = np.full((500, 212, 3), 128, np.uint8)
    tall[250:462] = drawn(5)
    (alone,), (beside,), (below,) = detector.detect([drawn(5), wide, tall])
    # Here the network sees faces half as large: one of its pixels is two of these.
    assert np.abs(beside.landmarks - (250, 0) - alone.landmarks).max() < 5
    assert np.abs(below.landmarks - (0, 250) - alone.landmarks).max() < 5


def test_no_images_give_no_faces(detector) -> None:
    assert detector.detect([]) == []

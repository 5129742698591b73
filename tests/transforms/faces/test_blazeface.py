"""Anchors, decoding, merging and batches; the network looks at drawn faces."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.faces import blazeface as b
from transforms.synthetic.faces import render

NETWORKS = (b.SHORT_RANGE, b.BACK_RANGE, b.FULL_RANGE)


def square(x: float, y: float, side: float, eye: float = 0.0) -> np.ndarray:
    """A face as `decode` gives it: box corners, then four points in one place."""
    points = np.full((6, 2), eye)
    points[0], points[1] = (x, y), (x + side, y + side)
    return points


@pytest.mark.parametrize(
    ("network", "count", "first"),
    [(b.SHORT_RANGE, 896, 1 / 32), (b.BACK_RANGE, 896, 1 / 32), (b.FULL_RANGE, 2304, 1 / 96)],
)
def test_anchors_fill_the_square_evenly(network, count, first) -> None:
    centers = b.anchors(network)
    assert centers.shape == (count, 2)
    assert centers[0] == pytest.approx((first, first))
    assert centers.mean(axis=0) == pytest.approx((0.5, 0.5))
    # Row by row: x runs first.
    each = network.grids[0][1]
    assert centers[each] == pytest.approx((3 * first, first))


def test_decoding_is_relative_to_the_anchor() -> None:
    values = np.arange(16, dtype=np.float32)[None]
    faces = b.decode(values, np.array([[0.25, 0.5]], np.float32), 128)
    assert faces.shape == (1, 6, 2)
    # Center (32 + 0, 64 + 1), extent (2, 3).
    assert faces[0, 0] == pytest.approx((31, 63.5))
    assert faces[0, 1] == pytest.approx((33, 66.5))
    assert faces[0, 2:] == pytest.approx([(36, 69), (38, 71), (40, 73), (42, 75)])


def test_overlapping_answers_become_their_weighted_mean() -> None:
    faces = np.array([square(0, 0, 10, 4), square(1, 0, 10, 8), square(50, 50, 10, 1)])
    merged, scores = b.merge(faces, np.array([0.9, 0.3, 0.6]), 0.3)
    assert scores == pytest.approx([0.9, 0.6])
    assert merged[0, 0] == pytest.approx((0.25, 0))
    assert merged[0, 2] == pytest.approx((5, 5))
    assert merged[1] == pytest.approx(faces[2])


def test_nothing_merges_to_nothing() -> None:
    merged, scores = b.merge(np.zeros((0, 6, 2)), np.zeros(0), 0.3)
    assert merged.shape == (0, 6, 2)
    assert scores.shape == (0,)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 30), st.integers(1, 99)),
        min_size=1,
        max_size=12,
    )
)
@settings(deadline=None, max_examples=60)
def test_merging_ends_and_keeps_the_surest(places) -> None:
    faces = np.array([square(x, y, side) for x, y, side, _ in places], np.float64)
    scores = np.array([score / 100 for *_, score in places])
    merged, sure = b.merge(faces, scores, 0.3)
    assert 1 <= len(merged) == len(sure) <= len(places)
    assert sure[0] == scores.max()
    assert (np.diff(sure) <= 0).all()


def test_overlap() -> None:
    others = np.array([square(0, 0, 10), square(5, 0, 10), square(20, 20, 5), square(3, 3, 0)])
    assert b.overlap(others[0], others) == pytest.approx([1, 1 / 3, 0, 0])
    assert b.overlap(others[3], others) == pytest.approx([0, 0, 0, 0])


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from((128, 192, 256)))
@settings(deadline=None, max_examples=40)
def test_a_letterbox_shows_the_whole_image_in_the_middle(width, height, side) -> None:
    box, scale, shift = b.letterbox(np.full((height, width, 3), 255, np.uint8), side)
    assert box.shape == (side, side, 3)
    ys, xs = np.nonzero(box[:, :, 0])
    edges = np.array([(xs.min(), ys.min()), (xs.max() + 1, ys.max() + 1)])
    # Whole pixels stand for the exact edges; an image thinner than one pixel fills one.
    expected = np.array([(0, 0), (width, height)]) * scale + shift
    assert np.abs(edges - expected).max() <= 0.5 + 1e-9
    assert edges.sum(axis=0) == pytest.approx((side, side), abs=1)


def test_a_letterbox_of_the_right_size_keeps_the_pixels() -> None:
    image = np.random.default_rng(3).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    box, scale, shift = b.letterbox(image, 128)
    assert np.array_equal(box, image)
    assert scale == 1
    assert shift == pytest.approx((0, 0))


def drawn(identity: int, image: int = 0, size: int = 112, border: int = 50) -> np.ndarray:
    """A drawn face in the middle of a grey photo."""
    around = ((border, border), (border, border), (0, 0))
    return np.pad(render(0, identity, image, size), around, constant_values=128)


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: network.file)
def any_detector(request) -> b.BlazeFace:
    return b.BlazeFace(request.param, batch_size=4)


@pytest.fixture(scope="module")
def detector() -> b.BlazeFace:
    return b.BlazeFace()


def test_a_batch_gives_what_single_images_give(any_detector) -> None:
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


def test_threads_change_nothing(detector) -> None:
    images = [drawn(number) for number in range(4)]
    threaded = b.BlazeFace(threads=2).detect(images)
    for first, second in zip(detector.detect(images), threaded, strict=True):
        assert first[0].box == second[0].box
        assert np.array_equal(first[0].landmarks, second[0].landmarks)


def test_landmarks_lie_as_in_a_face(any_detector) -> None:
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


def test_a_mirrored_face_is_told_from_the_viewers_left(detector) -> None:
    image = drawn(3)
    (straight,), (mirrored,) = detector.detect([image, np.ascontiguousarray(image[:, ::-1])])
    back = mirrored.landmarks[[1, 0, 2, 3]] * (-1, 1) + (image.shape[1] - 1, 0)
    assert np.abs(back - straight.landmarks).max() < 2


def test_two_faces_are_two(detector) -> None:
    image = np.concatenate([drawn(1), drawn(4)], axis=1)
    ((first, second),) = detector.detect([image])
    assert abs(first.box[0] - second.box[0]) > 100


def test_wide_and_tall_photos_keep_their_coordinates(detector) -> None:
    wide = np.full((212, 500, 3), 128, np.uint8)
    wide[:, 250:462] = drawn(5)
    tall = np.ascontiguousarray(np.full((500, 212, 3), 128, np.uint8))
    tall[250:462] = drawn(5)
    (alone,), (beside,), (below,) = detector.detect([drawn(5), wide, tall])
    assert np.abs(beside.landmarks - (250, 0) - alone.landmarks).max() < 3
    assert np.abs(below.landmarks - (0, 250) - alone.landmarks).max() < 3


def test_no_images_no_answers(detector) -> None:
    assert detector.detect([]) == []

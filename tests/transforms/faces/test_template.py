"""Similarity transforms, the template, and the pixels that come out."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.faces import template as t

SIZE = 112

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.05, 20)
shifts = st.tuples(st.floats(-300, 300), st.floats(-300, 300))
counts = st.sampled_from((4, 5))


def moved(points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * (points - SIZE / 2) @ turn.T + shift


def blobs(points: np.ndarray, width: int, height: int, sigma: float) -> np.ndarray:
    """A black photo with a bright spot at each point."""
    y, x = np.mgrid[:height, :width]
    light = np.zeros((height, width))
    for px, py in points:
        light += np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
    return np.repeat((255 * np.clip(light, 0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)


def spot(pixels: np.ndarray, around: np.ndarray, reach: int) -> np.ndarray:
    """(x, y) of the center of light within `reach` pixels of a position."""
    left, top = np.rint(around).astype(int) - reach
    part = pixels[top : top + 2 * reach + 1, left : left + 2 * reach + 1, 0].astype(float)
    y, x = np.mgrid[: part.shape[0], : part.shape[1]]
    return np.array([(part * x).sum(), (part * y).sum()]) / part.sum() + (left, top)


def test_the_template_at_112_pixels_is_the_published_one() -> None:
    five = t.template(112)
    assert five[0] == pytest.approx((38.2946, 51.6963))
    assert five[4] == pytest.approx((70.7299, 92.2041))
    # The other set of points is of the same face.
    assert np.abs(t.template(112, 4)[:3] - five[:3]).max() < 2.5
    assert np.abs(t.template(112, 4)[3] - (five[3] + five[4]) / 2).max() < 2.5


@pytest.mark.parametrize("size", [64, 112, 160])
def test_the_template_of_four_points_is_symmetrical(size) -> None:
    four = t.template(size, 4)
    assert four[[1, 0, 2, 3]] * (-1, 1) + (size - 1, 0) == pytest.approx(four)


def test_template_scales_with_the_edges_of_pixels() -> None:
    assert t.template(224) + 0.5 == pytest.approx(2 * (t.template(112) + 0.5))


def test_template_of_other_points_is_refused() -> None:
    with pytest.raises(ValueError, match="4 or 5 points, got 3"):
        t.template(112, 3)


@given(angles, scales, shifts, counts)
@settings(deadline=None, max_examples=60)
def test_a_moved_template_maps_back_exactly(angle, scale, shift, count) -> None:
    goal = t.template(SIZE, count)
    points = moved(goal, angle, scale, shift)
    found = t.similarity(points, goal)
    assert found.apply(points) == pytest.approx(goal, abs=1e-8)
    assert found.scale == pytest.approx(1 / scale)


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=5, max_size=5),
    st.floats(-0.3, 0.3),
    st.floats(0.7, 1.4),
    shifts,
)
@settings(deadline=None, max_examples=60)
def test_no_similarity_nearby_is_closer(noise, angle, factor, shift) -> None:
    goal = t.template(SIZE)
    points = goal + noise
    try:
        found = t.similarity(points, goal)
    except t.AlignmentError:
        return
    turn = factor * np.exp(1j * angle) * complex(found.a, found.b)
    other = t.Similarity(turn.real, turn.imag, found.tx + shift[0], found.ty + shift[1])

    def cost(transform: t.Similarity) -> float:
        return float(((transform.apply(points) - goal) ** 2).sum())

    assert cost(found) <= cost(other) * (1 + 1e-9) + 1e-9


def test_similarity_agrees_with_a_linear_solver() -> None:
    random = np.random.default_rng(5)
    goal = t.template(SIZE)
    points = moved(goal, 0.4, 2.0, (90, 140)) + random.normal(0, 4, (5, 2))
    x, y = points.T
    one, zero = np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    expected = np.linalg.lstsq(rows, goal.T.ravel(), rcond=None)[0]
    found = t.similarity(points, goal)
    assert (found.a, found.b, found.tx, found.ty) == pytest.approx(expected)


def test_a_weight_of_two_is_the_same_point_twice() -> None:
    goal = t.template(SIZE)
    points = goal + np.random.default_rng(6).normal(0, 4, (5, 2))
    weighted = t.similarity(points, goal, np.array((1, 2, 1, 1, 1)))
    twice = t.similarity(points[[0, 1, 1, 2, 3, 4]], goal[[0, 1, 1, 2, 3, 4]])
    assert weighted.matrix == pytest.approx(twice.matrix)
    assert weighted.matrix != pytest.approx(t.similarity(points, goal).matrix, rel=1e-3)


@given(angles, scales, shifts)
@settings(deadline=None, max_examples=40)
def test_the_inverse_maps_points_back(angle, scale, shift) -> None:
    goal = t.template(SIZE)
    found = t.similarity(moved(goal, angle, scale, shift), goal)
    assert found.inverse().apply(found.apply(goal)) == pytest.approx(goal, abs=1e-8)


@given(angles, scales, shifts)
@settings(deadline=None, max_examples=40)
def test_a_transform_never_mirrors(angle, scale, shift) -> None:
    goal = t.template(SIZE)
    mirrored = moved(goal * (-1, 1) + (SIZE, 0), angle, scale, shift)
    found = t.similarity(mirrored, goal)
    assert np.linalg.det(found.matrix[:, :2]) > 0


def test_a_mirrored_photo_gives_the_mirrored_face() -> None:
    random = np.random.default_rng(1)
    photo = cv2.GaussianBlur(random.integers(0, 256, (200, 180, 3)).astype(np.uint8), (0, 0), 3)
    points = moved(t.template(SIZE), 0.2, 0.9, (90, 100))
    # In the mirrored photo the detector calls the other eye the left one.
    swapped = points[[1, 0, 2, 4, 3]] * (-1, 1) + (179, 0)
    straight = t.align(photo, points, SIZE).astype(int)
    mirrored = t.align(np.ascontiguousarray(photo[:, ::-1]), swapped, SIZE).astype(int)
    # The template itself is not quite symmetrical: 0.2 pixels, and not a whole face.
    same = np.abs(straight[:, ::-1] - mirrored)[10:-10, 10:-10].mean()
    other = np.abs(straight - mirrored)[10:-10, 10:-10].mean()
    assert same < 0.35 * other


@pytest.mark.parametrize("count", [4, 5])
@pytest.mark.parametrize("scale", [0.4, 1.0, 2.3, 5.0, 9.7])
def test_landmarks_land_on_the_template(scale, count) -> None:
    goal = t.template(SIZE, count)
    points = moved(goal, 0.35, scale, (70 * scale + 3, 66 * scale + 5))
    side = round(140 * scale) + 10
    photo = blobs(points, side, side, sigma=2 * scale)
    aligned = t.align(photo, points, SIZE)
    assert aligned.shape == (SIZE, SIZE, 3)
    assert aligned.dtype == np.uint8
    for position in goal:
        assert spot(aligned, position, 6) == pytest.approx(position, abs=0.12)


@pytest.mark.parametrize(("scale", "limit"), [(1.5, 45), (3.0, 45), (7.3, 12), (21.3, 6)])
def test_shrinking_does_not_alias(scale, limit) -> None:
    # Stripes finer than the result can show must come out nearly even and grey.
    side = round(130 * scale)
    stripes = np.where(np.arange(side) % 2 == 0, 0, 255).astype(np.uint8)
    photo = np.repeat(np.tile(stripes, (side, 1))[:, :, None], 3, axis=2)
    points = moved(t.template(SIZE), 0.0, scale, (side / 2, side / 2))
    transform = t.fit(points, SIZE, side, side)
    sampled = cv2.warpAffine(photo, transform.matrix, (SIZE, SIZE))[8:-8, 8:-8]
    averaged = t.align(photo, points, SIZE)[8:-8, 8:-8]
    assert sampled.std() > 60
    assert averaged.std() < limit
    assert averaged.mean() == pytest.approx(127.5, abs=2)


def test_an_identical_map_keeps_the_pixels() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    assert np.array_equal(t.align(photo, t.template(SIZE), SIZE), photo)


def test_pixels_outside_the_photo_are_black() -> None:
    photo = np.full((80, 80, 3), 200, np.uint8)
    aligned = t.align(photo, t.template(SIZE) - (0, 30), SIZE)
    assert (aligned[:25] == 0).all()
    assert (aligned[32:100, 2:78] == 200).all()
    assert (aligned[:, 84:] == 0).all()


def test_a_photo_wider_than_opencv_can_warp_is_aligned() -> None:
    photo = np.zeros((60, 40_000, 3), np.uint8)
    photo[:, 39_900:] = 90
    aligned = t.align(photo, t.template(SIZE) * 0.5 + np.array((39_930, 0)), SIZE)
    assert (aligned[2:108, 2:108] == 90).all()


@pytest.mark.parametrize(
    ("landmarks", "reason"),
    [
        (np.full((5, 2), 40.0), "all lie in one place"),
        (np.full((5, 2), np.nan), "not finite"),
        (t.template(112) + np.array((0, np.inf)), "not finite"),
        (
            t.template(112) + np.array((400, 0)),
            r"landmark \(\d+, \d+\) is outside the image 112x112",
        ),
        (t.template(112) - (0, 400), "outside the image"),
        (t.template(112)[[1, 0, 2, 4, 3]], "left and right exchanged"),
        (t.template(112, 4)[[1, 0, 2, 3]], "left and right exchanged"),
        (t.template(112)[[2, 3, 0, 1, 4]], "not placed like those of a face"),
        (np.zeros((3, 2)), r"must be 5 or 4 points \(x, y\), got shape \(3, 2\)"),
    ],
)
def test_landmarks_that_are_not_a_face_raise_their_reason(landmarks, reason) -> None:
    photo = np.zeros((112, 112, 3), np.uint8)
    with pytest.raises(t.AlignmentError, match=reason) as caught:
        t.align(photo, landmarks, SIZE)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


@pytest.mark.moderate
@given(st.lists(st.tuples(st.floats(), st.floats()), min_size=4, max_size=5))
@settings(deadline=None, max_examples=150)
def test_any_landmarks_give_a_crop_or_a_reason(points) -> None:
    photo = np.full((40, 60, 3), 7, np.uint8)
    try:
        aligned = t.align(photo, np.array(points), 32)
    except t.AlignmentError:
        return
    assert aligned.shape == (32, 32, 3)
    assert np.isin(np.unique(aligned), range(8)).all()

"""Anchors, decoding, merging, and the letterbox."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.faces import blaze_network as b


def face(x: float, y: float, side: float, eye: float = 0.0) -> np.ndarray:
    """A face as `decode` gives it: box corners, then four points in one place."""
    points = np.full((6, 2), eye)
    points[0], points[1] = (x, y), (x + side, y + side)
    return points


@pytest.mark.parametrize(
    ("network", "count", "first"),
    [(b.SHORT_RANGE, 896, 1 / 32), (b.BACK_RANGE, 896, 1 / 32), (b.FULL_RANGE, 2304, 1 / 96)],
)
def test_anchors_cover_the_input_evenly(network, count, first) -> None:
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
    assert np.array_equal(faces[0, 2:], [(36, 69), (38, 71), (40, 73), (42, 75)])


def test_overlapping_detections_become_their_weighted_mean() -> None:
    faces = np.array([face(0, 0, 10, 4), face(1, 0, 10, 8), face(50, 50, 10, 1)])
    merged, scores = b.merge(faces, np.array([0.9, 0.3, 0.6]), 0.3)
    assert scores == pytest.approx([0.9, 0.6])
    assert merged[0, 0] == pytest.approx((0.25, 0))
    assert merged[0, 2] == pytest.approx((5, 5))
    assert merged[1] == pytest.approx(faces[2])


def test_no_detections_merge_to_no_faces() -> None:
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
def test_merging_ends_and_keeps_the_highest_score(boxes) -> None:
    faces = np.array([face(x, y, side) for x, y, side, _ in boxes], np.float64)
    scores = np.array([score / 100 for *_, score in boxes])
    merged, highest = b.merge(faces, scores, 0.3)
    assert 1 <= len(merged) == len(highest) <= len(boxes)
    assert highest[0] == scores.max()
    assert (np.diff(highest) <= 0).all()


def test_overlap_is_intersection_over_union() -> None:
    others = np.array([face(0, 0, 10), face(5, 0, 10), face(20, 20, 5), face(3, 3, 0)])
    assert b.overlap(others[0], others) == pytest.approx([1, 1 / 3, 0, 0])
    assert b.overlap(others[3], others) == pytest.approx([0, 0, 0, 0])


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from((128, 192, 256)))
@settings(deadline=None, max_examples=40)
def test_a_letterbox_holds_the_complete_image_in_the_middle(width, height, side) -> None:
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

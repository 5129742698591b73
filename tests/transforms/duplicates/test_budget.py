import cv2
import numpy as np
import pytest

from facemill.transforms.duplicates.budget import (
    MAX_CLOSE_FAILURES,
    MAX_FAILURES,
    compare_within_budget,
    rough_distance,
)
from facemill.transforms.images import crop_variants

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(("close", "most"), [(True, MAX_CLOSE_FAILURES), (False, MAX_FAILURES)])
def test_an_image_that_only_fails_is_compared_so_often_and_no_more(close: bool, most: int) -> None:
    first = RNG.permutation(np.repeat(np.arange(5), 100))
    compared: list[int] = []

    def fails(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compared.extend(some.tolist())
        return np.zeros(len(some), bool), np.full(len(some), close)

    distance = RNG.random(len(first))
    done = compare_within_budget(first, distance, fails)
    assert sorted(compared) == np.flatnonzero(done).tolist()
    assert np.bincount(first[done]).tolist() == [most] * 5
    for image in range(5):
        mine = first == image
        assert distance[mine & done].max() < distance[mine & ~done].min()


def test_an_image_with_copies_is_compared_with_all_its_candidates() -> None:
    first = np.zeros(200, np.int64)
    done = compare_within_budget(
        first, RNG.random(200), lambda some: (np.ones(len(some), bool), np.ones(len(some), bool))
    )
    assert done.all()


def test_no_pairs_need_no_comparison() -> None:
    none = np.empty(0, np.int64)
    assert len(compare_within_budget(none, np.empty(0), lambda some: (some, some))) == 0


@pytest.mark.parametrize("variant", range(crop_variants.MIRROR + 1))
def test_the_variant_itself_is_nearer_than_another_image(variant: int) -> None:
    one, other = (
        cv2.resize(RNG.integers(0, 255, (8, 8)).astype(np.uint8), (64, 64)) for _ in range(2)
    )
    if variant == crop_variants.MIRROR:
        copy = one[:, ::-1]
    else:
        left, top, right, bottom = np.round(crop_variants.FRAMES[variant] * 64).astype(int)
        copy = cv2.resize(one[top:bottom, left:right], (64, 64))
    near, far = rough_distance(np.stack([one, one]), np.stack([copy, other]), np.full(2, variant))
    assert near < 0.1 < far

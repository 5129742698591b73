import pickle

import numpy as np
import pytest

from facemill.transforms.scoring.view_choices import MOST_CROPS
from facemill.transforms.scoring.views import ViewAverage, averaging


def left_half(pixels: np.ndarray) -> np.ndarray:
    """The mean of each half of a crop as an embedding of two numbers, the left one doubled."""
    halves = pixels.astype(np.float32).mean((1, 3)).reshape(len(pixels), 2, -1).mean(2)
    return halves * np.float32([2, 1])


def load(path: str):
    assert path == "network"
    return left_half


def test_a_face_and_its_mirror_image_have_the_same_embedding_of_length_1():
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    embed = ViewAverage(left_half, 1, True)
    found = embed(pixels)
    assert found.dtype == np.float32
    assert np.allclose(found, embed(pixels[:, :, ::-1]))
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    both = left_half(pixels) + left_half(pixels[:, :, ::-1])
    assert np.allclose(found, both / np.linalg.norm(both, axis=1, keepdims=True))
    assert not np.allclose(found[:, 0], found[:, 1] + 1)


def test_a_sum_of_nothing_is_not_finite():
    assert not np.isfinite(ViewAverage(left_half, 1, True)(np.zeros((1, 8, 8, 3), np.uint8))).any()


@pytest.mark.parametrize("flip", [False, True])
def test_the_crops_of_a_smaller_number_are_among_those_of_a_larger_one(flip):
    seen = []

    def embed(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels.copy())
        return left_half(pixels)

    pixels = np.random.default_rng(2).integers(0, 256, (3, 50, 50, 3), dtype=np.uint8)
    for crops in range(1, MOST_CROPS + 1):
        seen.clear()
        found = ViewAverage(embed, crops, flip)(pixels)
        assert len(seen) == crops * (1 + flip)
        assert all(one.shape == pixels.shape and one.dtype == np.uint8 for one in seen)
        assert len({one.tobytes() for one in seen}) == len(seen)
        np.testing.assert_array_equal(seen[0], pixels)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
        total = sum(map(left_half, seen))
        np.testing.assert_array_equal(found, total / np.linalg.norm(total, axis=1, keepdims=True))


def test_a_further_square_is_a_part_of_the_crop():
    seen = []
    # Rows and columns have their number as value, in two channels.
    pixels = np.zeros((1, 100, 100, 3), np.uint8)
    pixels[0, :, :, 0], pixels[0, :, :, 1] = np.arange(100)[:, None], np.arange(100)
    ViewAverage(lambda one: seen.append(one) or left_half(one), MOST_CROPS, False)(pixels)
    found = [(*map(int, one[0, 0, 0, :2]), *map(int, one[0, -1, -1, :2])) for one in seen]
    # Top and left, bottom and right.
    assert found == [
        (0, 0, 99, 99),
        (4, 4, 95, 95),
        (0, 0, 91, 91),
        (8, 8, 99, 99),
        (0, 8, 91, 99),
        (8, 0, 99, 91),
    ]


def test_what_loads_it_can_be_pickled():
    loaded = pickle.loads(pickle.dumps(averaging(load, 2, False)))("network")
    assert isinstance(loaded, ViewAverage)
    assert averaging(load, 1, False) is load

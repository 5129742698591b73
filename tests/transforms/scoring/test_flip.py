import pickle

import numpy as np

from facemill.transforms.scoring.flip import FlipAverage, averaging


def left_half(pixels: np.ndarray) -> np.ndarray:
    """The mean of each half of a crop as an embedding of two numbers, the left one doubled."""
    halves = pixels.astype(np.float32).mean((1, 3)).reshape(len(pixels), 2, -1).mean(2)
    return halves * np.float32([2, 1])


def load(path: str):
    assert path == "network"
    return left_half


def test_a_face_and_its_mirror_image_have_the_same_embedding_of_length_1():
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    embed = FlipAverage(left_half)
    found = embed(pixels)
    assert found.dtype == np.float32
    assert np.allclose(found, embed(pixels[:, :, ::-1]))
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    both = left_half(pixels) + left_half(pixels[:, :, ::-1])
    assert np.allclose(found, both / np.linalg.norm(both, axis=1, keepdims=True))
    assert not np.allclose(found[:, 0], found[:, 1] + 1)


def test_a_sum_of_nothing_is_not_finite():
    assert not np.isfinite(FlipAverage(left_half)(np.zeros((1, 8, 8, 3), np.uint8))).any()


def test_what_loads_it_can_be_pickled():
    loaded = pickle.loads(pickle.dumps(averaging(load)))("network")
    assert isinstance(loaded, FlipAverage)

import cv2
import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images import crop_variants, perceptual_hash


def _code(pixels: np.ndarray) -> np.ndarray:
    return np.frombuffer(perceptual_hash.dct_hash(pixels), np.uint8)


def _windows(pixels: np.ndarray) -> np.ndarray:
    return np.frombuffer(crop_variants.window_hashes(pixels), np.uint8).reshape(
        crop_variants.WINDOWS, -1
    )


def _differing(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.bitwise_count(first ^ second).sum())


def test_every_crop_has_a_window_whose_ends_are_near() -> None:
    rng = np.random.default_rng(0)
    frames = crop_variants.FRAMES[1:-1]
    for _ in range(500):
        share, x, y = rng.uniform(0, crop_variants.MAX_CROP), rng.uniform(), rng.uniform()
        crop = np.array([x * share, y * share, 1 - (1 - x) * share, 1 - (1 - y) * share])
        # A sixtieth for the grid, as much again for windows of nearly equal proportions only.
        assert np.abs(frames - crop).max(axis=1).min() <= 2 / 60 + 1e-9


def test_a_window_hashes_like_the_crop_that_it_shows() -> None:
    for identity in range(4):
        # Smooth, so that resampling the crop does not count.
        pixels = cv2.GaussianBlur(render(0, identity, 0, 600), (0, 0), 6)
        windows = _windows(pixels)
        for window, (left, top, right, bottom) in zip(
            windows, crop_variants.FRAMES[1:-1], strict=True
        ):
            crop = pixels[round(top * 600) : round(bottom * 600), round(left * 600) :]
            crop = crop[:, : round((right - left) * 600)]
            assert _differing(window, _code(crop)) <= 4


def test_mirrored_hashes_are_hashes_of_mirror_images() -> None:
    for identity in range(6):
        pixels = render(0, identity, 0, 112)
        turned = crop_variants.mirrored(_code(pixels)[None])
        assert _differing(turned[0], _code(pixels[:, ::-1])) <= 2
        assert np.array_equal(crop_variants.mirrored(turned)[0], _code(pixels))


def test_queries_are_windows_then_mirror_image() -> None:
    faces = [render(0, identity, 0, 112) for identity in range(3)]
    hashes = np.stack([_code(face) for face in faces])
    windows = np.stack([_windows(face).ravel() for face in faces])
    queries = crop_variants.queries(hashes, windows)
    assert queries.shape == (3, crop_variants.MIRROR, perceptual_hash.HASH_BYTES)
    assert len(crop_variants.FRAMES) == crop_variants.MIRROR + 1
    assert np.array_equal(queries[:, crop_variants.MIRROR - 1], crop_variants.mirrored(hashes))
    assert np.array_equal(queries[1, :-1], _windows(faces[1]))


@pytest.mark.parametrize("level", [0, 200])
def test_windows_of_uniform_images_hash_to_zeros(level: int) -> None:
    assert not _windows(np.full((50, 80, 3), level, np.uint8)).any()

import cv2
import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images import crop_variants, perceptual_hash

FRAMES, MIRRORED = crop_variants.FRAMES, crop_variants.MIRRORED


def _code(pixels: np.ndarray) -> np.ndarray:
    return np.frombuffer(perceptual_hash.dct_hash(pixels), np.uint8)


def _windows(pixels: np.ndarray) -> np.ndarray:
    return np.frombuffer(crop_variants.window_hashes(pixels), np.uint8)


def _cut(pixels: np.ndarray, frame: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    left, top, right, bottom = np.round(frame * [width, height, width, height]).astype(int)
    return pixels[top:bottom, left:right]


def _inside(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where the second frame lies, as shares of the sides of the first."""
    corner, size = first[:2], first[2:] - first[:2]
    return (second - np.tile(corner, 2)) / np.tile(size, 2)


def _differing(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.bitwise_count(first ^ second).sum())


@pytest.mark.parametrize("mirrored", [False, True])
def test_two_copies_that_are_cut_in_their_own_way_have_a_variant_near_their_frames(
    mirrored: bool,
) -> None:
    rng = np.random.default_rng(0)
    frames = FRAMES[1:][MIRRORED[1:] == mirrored]
    worst = []
    for _ in range(500):
        # 5 to 10 % at each end.
        cuts = rng.uniform(0.05, 0.1, (2, 4))
        first, second = np.concatenate([cuts[:, :2], 1 - cuts[:, 2:]], axis=1)
        # Each asks for the other. In the mirror image left and right change places.
        errors = []
        for one, other in ((first, second), (second, first)):
            if mirrored:
                one = np.array([1 - one[2], one[1], 1 - one[0], one[3]])
            errors.append(np.abs(frames - _inside(one, other)).max(axis=1).min())
        worst.append(min(errors))
    # Steps of 0.027 and stretches of 8 %, each off by at most a half, and rarely both.
    assert np.quantile(worst, 0.99) < 0.04
    assert max(worst) < 0.06


@pytest.mark.moderate
def test_a_variant_says_where_the_second_image_lies_in_the_first() -> None:
    rng = np.random.default_rng(1)
    # Smooth, so that resampling does not count.
    pixels = [cv2.GaussianBlur(render(0, one, 0, 600), (0, 0), 6) for one in range(3)]
    inside = (FRAMES[:, :2].min(axis=1) >= 0) & (FRAMES[:, 2:].max(axis=1) <= 1)
    inside[0] = False
    for variant in rng.choice(np.flatnonzero(inside), 30):
        image = pixels[variant % 3]
        first = image[:, ::-1] if MIRRORED[variant] else image
        asking = crop_variants.asking(_windows(image)[None])[0]
        found = crop_variants.found(_windows(_cut(first, FRAMES[variant]))[None])[0]
        one, other = divmod(variant - 1, crop_variants.FOUND)
        assert _differing(asking[one], found[other]) <= 5


def test_cut_copies_have_near_variants() -> None:
    image = render(0, 5, 0, 400)
    first = _cut(image, np.array([0.06, 0.09, 0.92, 0.94]))
    second = _cut(image, np.array([0.1, 0.05, 0.95, 0.9]))
    for mirrored in (False, True):
        copy = second[:, ::-1] if mirrored else second
        thumbnails = [perceptual_hash.grey_thumbnail(one) for one in (first, copy)]
        windows = [crop_variants.thumbnail_windows(one) for one in thumbnails]
        assert np.array_equal(windows[0], _windows(perceptual_hash.small(first)))
        found = crop_variants.nearest_variants(*windows, 3)
        assert found.shape == (3,)
        assert MIRRORED[found].tolist() == [mirrored] * 3
        one, other = np.divmod(found - 1, crop_variants.FOUND)
        asking, targets = (
            crop_variants.asking(windows[0][None]),
            crop_variants.found(windows[1][None]),
        )
        distances = [
            _differing(asking[0, a], targets[0, b]) for a, b in zip(one, other, strict=True)
        ]
        assert distances == sorted(distances)
        assert distances[0] <= 12


def test_mirrored_hashes_are_hashes_of_mirror_images() -> None:
    for identity in range(6):
        pixels = render(0, identity, 0, 112)
        turned = crop_variants.mirrored(_code(pixels)[None])
        assert _differing(turned[0], _code(pixels[:, ::-1])) <= 2
        assert np.array_equal(crop_variants.mirrored(turned)[0], _code(pixels))


def test_an_image_asks_by_its_windows_and_by_those_of_its_mirror_image() -> None:
    windows = np.stack([_windows(render(0, identity, 0, 112)) for identity in range(3)])
    assert windows.shape == (3, crop_variants.WINDOW_BYTES)
    asking, found = crop_variants.asking(windows), crop_variants.found(windows)
    assert asking.shape == (3, 2 * crop_variants.ASKING, perceptual_hash.HASH_BYTES)
    assert found.shape == (3, crop_variants.FOUND, perceptual_hash.HASH_BYTES)
    assert len(FRAMES) == len(MIRRORED) == 1 + asking.shape[1] * found.shape[1]
    assert np.array_equal(
        crop_variants.mirrored(asking[:, : crop_variants.ASKING]), asking[:, crop_variants.ASKING :]
    )


@pytest.mark.parametrize("level", [0, 200])
def test_windows_of_uniform_images_hash_to_zeros(level: int) -> None:
    assert not _windows(np.full((50, 80, 3), level, np.uint8)).any()

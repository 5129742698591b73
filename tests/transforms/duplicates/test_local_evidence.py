import cv2
import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.duplicates.confirm import MIN_SIMILARITY
from facemill.transforms.duplicates.local_evidence import SIDE, local_difference, sized
from facemill.transforms.duplicates.registration import register

LIMIT = 1 - MIN_SIMILARITY
IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
FACES = [cv2.cvtColor(render(0, identity, 0, 250), cv2.COLOR_RGB2GRAY) for identity in range(4)]


def turned(grey: np.ndarray, degrees: float) -> np.ndarray:
    """Turned about the center, with the black corners of an aligned photo."""
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(grey, turn, (width, height))


@pytest.mark.parametrize("face", FACES)
def test_an_equal_image_has_no_difference(face: np.ndarray) -> None:
    assert local_difference(face, face, IDENTITY) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("degrees", [-4, 3])
def test_black_corners_that_differ_are_no_difference(face: np.ndarray, degrees: float) -> None:
    copy = turned(face, degrees)
    small = (sized(one, 64)[None] for one in (face, copy))
    (affine,) = register(*small, np.zeros(1, int)).maps
    assert local_difference(face, copy, affine) < LIMIT


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("gain", [0.6, 1.15])
def test_gain_noise_and_blur_are_no_difference(face: np.ndarray, gain: float) -> None:
    rng = np.random.default_rng(1)
    noisy = cv2.GaussianBlur(face, (0, 0), 1.0) * gain + rng.normal(0, 1.5, face.shape)
    assert local_difference(face, np.clip(noisy, 0, 255).astype(np.uint8), IDENTITY) < LIMIT


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("place", [(0.35, 0.42), (0.65, 0.42), (0.5, 0.6)])
def test_one_changed_feature_of_the_face_is_a_difference(
    face: np.ndarray, place: tuple[float, float]
) -> None:
    changed = face.copy()
    center = round(place[0] * 250), round(place[1] * 250)
    level = 20 if face[center[1], center[0]] > 110 else 210
    cv2.ellipse(changed, center, (16, 8), 0, 0, 360, level, -1)
    assert local_difference(face, changed, IDENTITY) > LIMIT


@pytest.mark.parametrize("shape", [(250, 250), (112, 92), (128, 128), (24, 24)])
def test_every_size_becomes_the_side_of_the_comparison(shape: tuple[int, int]) -> None:
    assert sized(np.full(shape, 7, np.uint8)).shape == (SIDE, SIDE)


def test_images_without_usable_pixels_are_compared_all_the_same() -> None:
    white = np.full((SIDE, SIDE), 255, np.uint8)
    marked = white.copy()
    marked[50:80, 50:80] = 0
    assert local_difference(white, white, IDENTITY) < LIMIT
    assert local_difference(white, marked, IDENTITY) > LIMIT

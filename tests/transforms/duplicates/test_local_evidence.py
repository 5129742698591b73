import dataclasses

import cv2
import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render, render_scene
from facemill.pipelines.synthesize.faces.features import EXPRESSIONS
from facemill.pipelines.synthesize.faces.scene import draw_scene
from facemill.transforms.duplicates.coarse_evidence import thumbnail_difference
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


def drawn(identity: int, **expression: float) -> np.ndarray:
    """A drawn face with another expression, grey, as ingest crops it."""
    scene = draw_scene(0, identity, 0)
    values = scene.expression.copy()
    for name, value in expression.items():
        values[1 + EXPRESSIONS.index(name)] = value
    scene = dataclasses.replace(scene, expression=values, covering="")
    return cv2.cvtColor(render_scene(0, identity, scene, 128), cv2.COLOR_RGB2GRAY)


def test_teeth_that_are_clipped_to_white_are_a_difference() -> None:
    closed = np.full((SIDE, SIDE), 120, np.uint8)
    cv2.circle(closed, (64, 64), 40, 170, -1)
    cv2.ellipse(closed, (64, 84), (14, 2), 0, 0, 360, 90, -1)
    teeth = closed.copy()
    cv2.ellipse(teeth, (64, 86), (14, 5), 0, 0, 360, 255, -1)
    small = [sized(one, 64) for one in (closed, teeth)]
    for first, second in ((0, 1), (1, 0)):
        pair = [closed, teeth][first], [closed, teeth][second]
        assert local_difference(*pair, IDENTITY) > LIMIT
        assert thumbnail_difference(small[first], small[second], IDENTITY) > LIMIT


@pytest.mark.parametrize("gain", [1.2, 1.5])
def test_what_a_brighter_copy_clips_is_no_difference(gain: float) -> None:
    for face in FACES:
        bright = np.clip(face * gain, 0, 255).astype(np.uint8)
        assert local_difference(face, bright, IDENTITY) < LIMIT


def test_closed_eyes_in_a_blurred_photo_are_a_difference_and_compression_is_none() -> None:
    for identity in (6, 7, 8, 11):
        photo, closed = (
            cv2.GaussianBlur(drawn(identity, lids=lids), (0, 0), 3) for lids in (0.0, -0.9)
        )
        assert local_difference(photo, closed, IDENTITY) > 2 * LIMIT
        small = cv2.resize(photo, (32, 32), interpolation=cv2.INTER_AREA)
        encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        again = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
        assert local_difference(photo, again, IDENTITY) < LIMIT

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.pipelines.synthesize.faces import faces
from facemill.pipelines.synthesize.faces.features import EXPRESSIONS
from facemill.pipelines.synthesize.faces.scene import draw_scene


def test_same_key_same_pixels_whatever_was_drawn_before():
    first = faces.render(3, 5, 7, 64)
    faces._person.cache_clear()
    for image in range(3):
        faces.render(3, 6, image, 112)
    assert np.array_equal(faces.render(3, 5, 7, 64), first)


@pytest.mark.parametrize("other", [(4, 5, 7), (3, 6, 7), (3, 5, 8)])
def test_seed_identity_and_image_number_each_change_the_pixels(other):
    here = faces.render(3, 5, 7, 64).astype(int)
    assert np.abs(faces.render(*other, 64) - here).mean() > 10


def test_a_scene_with_another_mouth_changes_the_face_and_nothing_around_it():
    scene = draw_scene(3, 5, 7)
    assert np.array_equal(faces.render_scene(3, 5, scene, 64), faces.render(3, 5, 7, 64))
    wide = scene.expression.copy()
    wide[1 + EXPRESSIONS.index("open")] += 1
    other = faces.render_scene(3, 5, dataclasses.replace(scene, expression=wide), 64)
    changed = (other != faces.render(3, 5, 7, 64)).any(axis=2)
    assert changed.any()
    assert not changed[:20].any()


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(16, 160),
    seed=st.integers(0, 2**64 - 1),
    identity=st.integers(0, 2**32 - 1),
    image=st.integers(0, 2**28 - 1),
)
def test_any_key_and_size_gives_an_image(size, seed, identity, image):
    pixels = faces.render(seed, identity, image, size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 3


def test_size_changes_the_resolution_and_not_the_scene():
    large, small = faces.render(1, 2, 3, 224), faces.render(1, 2, 3, 112)
    shrunk = cv2.resize(large, (112, 112), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.98


@pytest.mark.moderate
def test_channels_are_in_rgb_order():
    # Skin of every tone has more red than blue, under any of the light's color casts.
    centers = np.stack([faces.render(0, k, 1, 64)[28:44, 28:36] for k in range(40)])
    red, _, blue = centers.reshape(-1, 3).mean(0)
    assert red > 1.3 * blue


def test_a_jpeg_holds_the_drawn_image():
    pixels = faces.render(1, 1, 1, 112)
    decoded = cv2.imdecode(np.frombuffer(faces.encode_jpeg(pixels, 95), np.uint8), 1)[..., ::-1]
    assert np.abs(decoded.astype(int) - pixels).mean() < 6


@pytest.mark.moderate
def test_no_two_images_are_near_duplicates():
    """By the measure of an ingest: distance of 256-bit hashes and correlation of thumbnails."""
    bits, thumbnails = [], []
    for identity in range(1, 13):
        for image in range(1, 51):
            gray = cv2.cvtColor(faces.render(2, identity, image, 112), cv2.COLOR_RGB2GRAY)
            small = cv2.resize(gray, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
            low = cv2.dct(small)[:16, :16].ravel()
            bits.append(np.where(low > np.median(low), 1.0, -1.0))
            thumbnail = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).ravel()
            thumbnail = thumbnail - thumbnail.mean()
            thumbnails.append(thumbnail / np.linalg.norm(thumbnail))
    hamming = (256 - np.array(bits) @ np.array(bits).T) / 2
    correlation = np.array(thumbnails) @ np.array(thumbnails).T
    pairs = np.triu_indices(len(bits), 1)
    assert not np.any((hamming[pairs] <= 40) & (correlation[pairs] >= 0.97))
    assert correlation[pairs].max() < 0.97

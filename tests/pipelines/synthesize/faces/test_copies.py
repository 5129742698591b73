import io

import numpy as np
import pytest
from PIL import Image

from facemill.pipelines.synthesize.faces import copies, faces
from facemill.pipelines.synthesize.faces.recipe import COPY_KINDS


@pytest.fixture(scope="module")
def encoded() -> bytes:
    return faces.encode_jpeg(faces.render(1, 1, 1, 112))


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


def _difference(data: bytes, expected: np.ndarray) -> float:
    return float(np.abs(_pixels(data) - expected).mean())


@pytest.mark.parametrize("kind", COPY_KINDS)
def test_the_reported_size_is_that_of_the_copy(encoded, kind):
    data, width, height = copies.copy_of(kind, encoded, 92)
    assert Image.open(io.BytesIO(data)).size == (width, height)


def test_copy_is_the_same_bytes(encoded):
    assert copies.copy_of("copy", encoded, 92)[0] == encoded


@pytest.mark.parametrize("kind", ["reencode", "conflict"])
def test_reencoded_pixels_are_near_and_smaller(encoded, kind):
    data = copies.copy_of(kind, encoded, 92)[0]
    assert len(data) < 0.8 * len(encoded)
    assert 0 < _difference(data, _pixels(encoded)) < 8


def test_resize_is_half_the_side(encoded):
    data, width, height = copies.copy_of("resize", encoded, 92)
    assert (width, height) == (56, 56)
    half = _pixels(encoded).reshape(56, 2, 56, 2, 3).mean((1, 3))
    assert _difference(data, half) < 5


def test_brighten_is_a_fifth_brighter(encoded):
    data = copies.copy_of("brighten", encoded, 92)[0]
    assert _difference(data, np.minimum(_pixels(encoded) * 1.2, 255)) < 5
    assert _difference(data, _pixels(encoded)) > 10


def test_crop_takes_five_percent_away(encoded):
    data, width, height = copies.copy_of("crop", encoded, 92)
    assert (width, height) == (106, 106)
    assert _difference(data, _pixels(encoded)[3:109, 3:109]) < 5


def test_mirror_exchanges_left_and_right(encoded):
    data = copies.copy_of("mirror", encoded, 92)[0]
    assert _difference(data, _pixels(encoded)[:, ::-1]) < 5
    assert _difference(data, _pixels(encoded)) > 15


def test_other_kinds_are_refused(encoded):
    with pytest.raises(ValueError, match=r"recipe\.COPY_KINDS, got 'bomb'"):
        copies.copy_of("bomb", encoded, 92)

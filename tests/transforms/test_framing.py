import numpy as np
import pytest

from transforms.framing import Look, frame
from transforms.standardize import center_square, whole_picture

PICTURES = [
    np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    for seed, shape in enumerate([(40, 60), (50, 30), (24, 24)])
]


def test_none_shows_the_whole_picture_and_center_its_middle():
    nothing = [None] * 3
    whole = frame(Look(24, "none"), PICTURES, nothing)
    middle = frame(Look(24, "center", 0.8), PICTURES, nothing)
    for picture, all_of_it, part in zip(PICTURES, whole, middle, strict=True):
        np.testing.assert_array_equal(all_of_it.pixels, whole_picture(picture, 24))
        np.testing.assert_array_equal(part.pixels, center_square(picture, 24, 0.8))
        assert (all_of_it.faces, all_of_it.score, all_of_it.box) == (None, None, None)
    np.testing.assert_array_equal(whole[2].pixels, PICTURES[2])
    assert not np.array_equal(whole[0].pixels, middle[0].pixels)


@pytest.mark.parametrize("look", [Look(), Look(64, "none"), Look(112, "center", 0.7)])
def test_a_look_comes_back_from_a_manifest(look):
    assert Look.from_manifest(look.to_manifest()) == look


def test_looks_are_alike_at_any_size():
    assert Look(64, "center", 0.5).alike(Look(112, "center", 0.5))
    assert not Look(64, "center", 0.5).alike(Look(64, "center", 0.6))
    assert not Look(64, "center").alike(Look(64, "none"))

import keras
import numpy as np
import pytest

from facemill.model.networks import patches, registry
from facemill.model.recipes.choices import PARTS
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import ParameterError

PIXELS = np.random.default_rng(4).normal(size=(1, 112, 112, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    return registry.build("patches", 112, 32)


def changed_parts(network, rows, columns) -> list[bool]:
    """Which quarters of the embedding another content of some pixels changes."""
    pixels = PIXELS.copy()
    pixels[:, slice(*rows), slice(*columns)] += 1
    before, after = (np.split(network(one).numpy(), 4, axis=1) for one in (PIXELS, pixels))
    return [not np.array_equal(*pair) for pair in zip(before, after, strict=True)]


def test_there_is_a_part_for_each_patch():
    assert PARTS["patches"] == len(patches.PATCHES)


@pytest.mark.moderate
@pytest.mark.parametrize(
    ("rows", "columns", "seen_by"),
    [
        ((0, 8), (0, 8), "face coarse"),
        ((33, 34), (17, 18), "face eyes coarse"),
        ((71, 72), (95, 96), "face eyes coarse"),
        ((72, 73), (95, 96), "face coarse"),
        ((60, 61), (56, 57), "face eyes middle coarse"),
        ((89, 90), (83, 84), "face middle coarse"),
        ((90, 91), (84, 85), "face coarse"),
    ],
)
def test_each_patch_sees_its_part_of_the_image(network, rows, columns, seen_by):
    names = [patch.name for patch in patches.PATCHES]
    assert changed_parts(network, rows, columns) == [name in seen_by.split() for name in names]


@pytest.mark.moderate
@pytest.mark.parametrize("size", [64, 97])
def test_the_network_accepts_several_image_sizes(size):
    images = np.zeros((2, size, size, 3), np.float32)
    assert registry.build("patches", size, 24)(images).shape == (2, 24)


def test_what_does_not_fit_the_patches_is_one_sentence():
    with pytest.raises(
        ParameterError, match=r"must be a multiple of 4 for .*patches, got 66; give"
    ):
        Recipe(network="patches", embedding_size=66)
    with pytest.raises(ParameterError, match="patches takes 64 pixels or more and they have 63"):
        registry.build("patches", 63, 32)

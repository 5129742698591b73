import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.export.embedder import Embedder
from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe(network="plain", embedding_size=16, seed=3)
MEAN, STD = np.array([120.0, 100.0, 90.0]), np.array([50.0, 60.0, 40.0])


def pixels(count: int = 5) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), np.uint8)


def seeded(recipe: Recipe) -> Embedder:
    keras.utils.set_random_seed(recipe.seed)
    return Embedder(recipe, 32, MEAN, STD)


@pytest.fixture(scope="module")
def embedder():
    return seeded(RECIPE)


def test_embeddings_have_length_one_and_normalization_is_inside(embedder):
    vectors = embedder.embed(pixels()).numpy()
    assert vectors.shape == (5, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    standardized = ((pixels().astype(np.float64) - MEAN) / STD).astype(np.float32)
    raw = embedder.network(standardized).numpy().astype(np.float64)
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    np.testing.assert_allclose(embedder.raw(pixels(), training=False), raw, atol=1e-4)


def test_bytes_and_floats_of_the_same_value_are_the_same_pixels(embedder):
    floats = embedder.raw(pixels().astype(np.float32), training=False)
    np.testing.assert_array_equal(embedder.raw(pixels(), training=False), floats)


def test_weights_follow_from_the_seed(embedder):
    again = seeded(RECIPE)
    other = seeded(dataclasses.replace(RECIPE, seed=4))
    first = embedder.network.get_weights()
    for one, same in zip(first, again.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(first[0], other.network.get_weights()[0])


def test_building_draws_weights_from_pythons_generator_alone():
    def draw() -> tuple[float, float]:
        return np.random.random(), float(tf.random.uniform([]))

    keras.utils.set_random_seed(8)
    expected = [draw(), draw()]
    keras.utils.set_random_seed(8)
    first = draw()
    one, other = (Embedder(RECIPE, 32, MEAN, STD).network.get_weights()[0] for _ in range(2))
    assert [first, draw()] == expected
    # Each takes its weights from where Python's generator stands.
    assert not np.array_equal(one, other)


def test_a_flip_average_is_equal_for_an_image_and_its_mirror_image(embedder):
    averaged = seeded(dataclasses.replace(RECIPE, flip_average=True))
    images, mirrored = pixels(), pixels()[:, :, ::-1]
    vectors = averaged.embed(images).numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(averaged.embed(mirrored), vectors, atol=1e-6)
    both = embedder.embed(images).numpy() + embedder.embed(mirrored).numpy()
    expected = both / np.linalg.norm(both, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert not np.allclose(embedder.embed(mirrored), embedder.embed(images), atol=1e-3)

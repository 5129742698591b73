"""Trainers in this process, which all use one strategy."""

import keras
import pytest
import tensorflow as tf

from facemill.model.recipes.recipe import Recipe
from facemill.model.training.trainer import Data, Trainer


@pytest.fixture(scope="module")
def strategy():
    return tf.distribute.MirroredStrategy(["/cpu:0"])


@pytest.fixture(scope="module")
def trainer_in(dataset, manifest, transform, strategy):
    """Builds a trainer in a folder."""

    def build(folder, recipe: Recipe, pairs=None, data=None) -> Trainer:
        data = data or Data(str(dataset), manifest, transform, pairs)
        keras.utils.set_random_seed(recipe.seed)
        return Trainer(data, recipe, strategy, str(folder), str(folder))

    return build


@pytest.fixture
def trainer(trainer_in, tmp_path):
    """Builds trainers, each in a folder of its own unless one is given."""
    count = 0

    def build(recipe: Recipe, pairs=None, folder=None, data=None) -> Trainer:
        nonlocal count
        count += 1
        return trainer_in(folder or tmp_path / f"run-{count}", recipe, pairs, data)

    return build

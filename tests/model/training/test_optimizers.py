import dataclasses

import keras
import numpy as np
import pytest

from facemill.model.recipes.choices import OPTIMIZERS
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import optimizers

RECIPE = Recipe(learning_rate=0.1, weight_decay=0.5)


def variables() -> list[keras.Variable]:
    """A kernel and a bias, of ones."""
    layer = keras.layers.Dense(2, bias_initializer="ones", kernel_initializer="ones")
    layer.build((None, 3))
    return [layer.kernel, layer.bias]


def stepped(recipe: Recipe, gradient: float, steps: int = 1) -> list[np.ndarray]:
    weights = variables()
    optimizer = optimizers.build(recipe, keras.optimizers.schedules.PolynomialDecay(
        0.1, 100, 0.1
    ), weights)  # fmt: skip
    for _ in range(steps):
        optimizer.apply([keras.ops.full(one.shape, gradient) for one in weights], weights)
    return [one.numpy() for one in weights]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_kernels_decay_apart_from_the_gradient_and_biases_do_not(name):
    kernel, bias = stepped(dataclasses.replace(RECIPE, optimizer=name), 0.0)
    np.testing.assert_allclose(kernel, 1 - 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_array_equal(bias, 1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_down_and_without_decay_treats_both_alike(name):
    recipe = dataclasses.replace(RECIPE, optimizer=name, weight_decay=0.0)
    kernel, bias = stepped(recipe, 0.5)
    assert kernel.max() < 1
    np.testing.assert_allclose(kernel[0], bias, rtol=1e-5)


def test_gradient_descent_has_no_momentum():
    recipe = dataclasses.replace(RECIPE, optimizer="gradient-descent", weight_decay=0.0)
    _, bias = stepped(recipe, 0.5, steps=3)
    np.testing.assert_allclose(bias, 1 - 3 * 0.1 * 0.5, rtol=1e-6)


def test_adam_and_adamw_are_the_same():
    adam, adamw = (
        stepped(dataclasses.replace(RECIPE, optimizer=name), 0.3, steps=3)
        for name in ("adam", "adamw")
    )
    for one, other in zip(adam, adamw, strict=True):
        np.testing.assert_array_equal(one, other)


def test_float16_scales_the_loss_and_the_weights_move_as_without():
    recipe = dataclasses.replace(RECIPE, optimizer="sgd")
    optimizer = optimizers.build(
        dataclasses.replace(recipe, precision="mixed_float16"), 0.1, variables()
    )
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert float(optimizer.scale_loss(keras.ops.ones(()))) == 2.0**15

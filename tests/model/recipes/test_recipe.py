import dataclasses
import importlib
from pathlib import Path

import pytest

from facemill.model import recipes
from facemill.model.recipes.choices import HEADS, NETWORKS, OPTIMIZERS, RECIPES
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import UsageError

FILES = sorted(
    path.stem
    for path in Path(recipes.__file__).parent.glob("*.py")
    if path.stem not in ("__init__", "choices", "recipe")
)


def test_the_command_line_names_every_recipe():
    assert sorted(RECIPES) == FILES


@pytest.mark.parametrize("name", FILES)
def test_every_recipe_is_valid_and_has_a_docstring(name):
    module = importlib.import_module(f"facemill.model.recipes.{name}")
    assert isinstance(module.RECIPE, Recipe)
    # `replace` checks the values again.
    assert dataclasses.replace(module.RECIPE) == module.RECIPE
    assert module.__doc__


@pytest.mark.parametrize(
    ("field", "names"), [("network", NETWORKS), ("head", HEADS), ("optimizer", OPTIMIZERS)]
)
def test_only_listed_names_are_allowed(field, names):
    for name in names:
        assert getattr(Recipe(**{field: name}), field) == name
    with pytest.raises(UsageError, match=f"{field} must be .*{names[-1]}, got 'other'; give one"):
        Recipe(**{field: "other"})


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("embedding_size", 8, 2048),
        ("epochs", 1, 10_000),
        ("steps", 1, 100_000_000),
        ("batch_size", 1, 65_536),
        ("crop", 0, 0.5),
        ("erase", 0, 1),
        ("weight_decay", 0, 1),
        ("seed", 0, 2**31 - 1),
    ],
)
def test_the_ends_of_a_range_are_allowed_and_values_beyond_are_refused(field, low, high):
    for value in (low, high):
        assert getattr(Recipe(**{field: value}), field) == value
    words = field.replace("_", " ")
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(UsageError, match=f"^{words} must be {low} to {high}, got {value};"):
            Recipe(**{field: value})


def test_steps_are_not_set_by_default():
    assert Recipe().steps is None

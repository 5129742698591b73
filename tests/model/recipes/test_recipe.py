import dataclasses
import importlib
from pathlib import Path

import pytest

from facemill.model import recipes
from facemill.model.recipes.choices import (
    HEADS,
    NETWORKS,
    OPTIMIZERS,
    RECIPES,
    SAMPLED,
    TAUGHT,
)
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import UsageError

FILES = sorted(
    path.stem
    for path in Path(recipes.__file__).parent.glob("*.py")
    if path.stem not in ("__init__", "choices", "margins", "recipe", "teachers")
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
    ("field", "names"),
    [("network", NETWORKS), ("head", (*HEADS, *TAUGHT)), ("optimizer", OPTIMIZERS)],
)
def test_only_listed_names_are_allowed(field, names):
    for name in names:
        assert getattr(Recipe(**{field: name}), field) == name
    with pytest.raises(UsageError, match=f"^`{field}` must be .*{names[-1]}, got 'other'; give"):
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
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(UsageError, match=f"^`{field}` must be {low} to {high}, got {value};"):
            Recipe(**{field: value})


def test_steps_are_not_set_by_default():
    assert Recipe().steps is None


def test_each_head_has_a_margin_of_its_own_unless_one_is_given():
    assert Recipe().resolved() == Recipe(margin=0.5)
    assert Recipe(head="cosface").resolved().margin == 0.35
    assert Recipe(head="cosface", margin=0.2).resolved().margin == 0.2
    assert Recipe(head="softmax").resolved().margin == 0


@pytest.mark.parametrize("head", HEADS)
def test_an_option_that_a_head_does_not_know_is_refused(head):
    if head in SAMPLED:
        assert Recipe(head=head, sample_identities=0.1).sample_identities == 0.1
        with pytest.raises(UsageError, match="`label_smoothing` must be 0 where identities are sa"):
            Recipe(head=head, sample_identities=0.1, label_smoothing=0.1)
    else:
        with pytest.raises(UsageError, match=f"`sample_identities` must be 1 with the head {head}"):
            Recipe(head=head, sample_identities=0.1)
    if head in ("triplet", "siamese"):
        with pytest.raises(UsageError, match=f"`label_smoothing` must be 0 with the head {head}"):
            Recipe(head=head, label_smoothing=0.1)
    else:
        assert Recipe(head=head, label_smoothing=0.1).label_smoothing == 0.1

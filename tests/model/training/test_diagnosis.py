import pytest

from facemill.model.recipes.recipe import Recipe
from facemill.model.training import diagnosis
from facemill.model.training.history import History

LAYERS = ["conv2d 1", "conv2d 2", "dense"]
FALLING = [10 * 0.98**step for step in range(100)]


def validations(*values: float) -> list[dict[str, float]]:
    """After each tenth step."""
    return [{"step": 10 * (at + 1), "accuracy": value} for at, value in enumerate(values)]


def norms(*rows: tuple[float, float, float]) -> list[dict]:
    return [{"step": 20 * at + 1, "norms": list(row)} for at, row in enumerate(rows)]


def test_a_loss_that_falls_while_validation_gets_worse_is_overfitting():
    found = diagnosis.overfitting(FALLING, validations(0.7, 0.9, 0.85, 0.84, 0.83), 10)
    assert found is not None
    assert found.code == "overfitting"
    assert "since step 20: accuracy fell from 90.0% to 83.0%" in found.text
    assert "`early_stopping`" in found.text


@pytest.mark.parametrize(
    ("losses", "values"),
    [
        (FALLING, ()),
        (FALLING, (0.7, 0.8, 0.85, 0.86, 0.87)),
        # Not yet three worse ones, and three that are hardly worse.
        (FALLING, (0.7, 0.8, 0.9, 0.8, 0.8)),
        (FALLING, (0.7, 0.9, 0.89, 0.88, 0.89)),
        # Both got worse: that is no overfitting.
        ([5.0] * 50, (0.7, 0.9, 0.85, 0.84, 0.83)),
    ],
)
def test_other_courses_are_no_overfitting(losses, values):
    assert diagnosis.overfitting(losses, validations(*values), 10) is None


def test_a_loss_that_does_not_move_is_underfitting():
    found = diagnosis.underfitting([4.61, 4.6] * 50, validations(0.5, 0.501), 10)
    assert found is not None
    assert (found.code, "`find_learning_rate`" in found.text) == ("underfitting", True)
    assert "4.605 after the warm-up" in found.text


@pytest.mark.parametrize(
    ("losses", "values"),
    [(FALLING, ()), ([4.6] * 49, ()), ([4.6] * 100, (0.5, 0.6)), ([4.6] * 100, (0.5, 0.52))],
)
def test_what_moves_or_is_too_short_is_no_underfitting(losses, values):
    assert diagnosis.underfitting(losses, validations(*values), 10) is None


def test_the_layer_whose_gradient_vanishes_is_named():
    usual = (0.5, 0.2, 1.0)
    found = diagnosis.vanishing(LAYERS, norms(usual, *[(1e-8, 0.2, 1.0)] * 4))
    assert found is not None
    assert found.text.startswith("The gradient of the layer conv2d 1 vanishes (norm 1e-08, the")
    assert diagnosis.vanishing(LAYERS, norms(*[usual] * 9)) is None
    assert diagnosis.vanishing(LAYERS, norms(*[(0.0, 0.2, 1.0)] * 3)) is None
    # All are small alike, as at the end of a run.
    assert diagnosis.vanishing(LAYERS, norms(*[(1e-8, 2e-8, 1e-8)] * 5)) is None


@pytest.mark.parametrize(("clip", "said"), [(0.0, "clip it by"), (5.0, "lower `clip_norm`")])
def test_the_layer_whose_gradient_explodes_is_named(clip, said):
    rows = norms(*[(0.5, 0.2, 1.0)] * 4, (0.5, 250.0, 3.0))
    found = diagnosis.exploding(LAYERS, rows, clip)
    assert found is not None
    assert "the layer conv2d 2 explodes (norm 2.5e+02 at step 81, 0.2 before)" in found.text
    assert said in found.text
    assert diagnosis.exploding(LAYERS, rows[:-1], clip) is None
    # A hundred times next to nothing is little.
    assert diagnosis.exploding(LAYERS, norms(*[(1e-9,) * 3] * 4, (1e-3,) * 3), clip) is None


def test_findings_are_those_of_the_history(tmp_path):
    history = History(str(tmp_path))
    history.layers = LAYERS
    history.add_steps(0, FALLING, [0.1] * 100)
    recipe = Recipe()
    assert diagnosis.findings(history, 10, recipe) == []
    history.gradients = norms(*[(0.0, 0.2, 1.0)] * 5)
    history.validation = validations(0.7, 0.9, 0.8, 0.8, 0.8)
    found = diagnosis.findings(history, 10, recipe)
    assert [one.code for one in found] == ["overfitting", "vanishing"]

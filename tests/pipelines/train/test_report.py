import dataclasses
import re

import numpy as np
import pytest

from facemill.model.data.validation_pairs import Scores
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.history import History
from facemill.pipelines.train import report

DATASET = {"splits": {"train": {"records": 1234, "identities": 56}}}


@pytest.fixture
def history(tmp_path):
    """A thousand steps: more than a chart shows."""
    made = History(str(tmp_path))
    losses = [20.0 * 0.99**step for step in range(1000)]
    made.add_steps(0, losses, [0.1 * (1 - step / 1000) for step in range(1000)])
    made.add_validation(500, {"accuracy": 0.75, "equal_error_rate": 0.25})
    made.add_validation(1000, {"accuracy": 0.875, "equal_error_rate": 0.125})
    return made


@pytest.fixture
def scores():
    draw = np.random.default_rng(1)
    return Scores(draw.normal(0.6, 0.1, 80), draw.normal(0.1, 0.1, 80))


def described(**metrics: float) -> dict:
    return {
        "recipe": dataclasses.asdict(Recipe(steps=1000)),
        "model_id": "0123456789abcdef",
        "metrics": {"loss": 1.2345, **metrics},
    }


def test_the_page_has_the_curves_and_the_figures(history, scores):
    whole = described(accuracy=0.875, equal_error_rate=0.125)
    page = report.render(whole, history, scores, DATASET)
    assert page.count("<svg") >= 5
    for text in (
        "0123456789ab",
        "1,234",
        "56",
        "1.2345",
        "87.50 %",
        "12.50 %",
        "Learning rate",
        "Pair accuracy",
        "Receiver operating characteristic",
        "80 genuine and 80 impostor pairs",
        "mobilefacenet",
    ):
        assert text in page
    assert report.render(whole, history, scores, DATASET) == page


def test_without_validation_the_page_shows_the_course_alone(history):
    history.validation.clear()
    page = report.render(described(), history, None, DATASET)
    assert "Learning rate" in page
    assert "Receiver operating characteristic" not in page
    assert "Pair accuracy" not in page


def test_a_run_of_one_step_can_be_shown(tmp_path, scores):
    short = History(str(tmp_path))
    short.add_steps(0, [3.0], [0.1])
    page = report.render(described(), short, None, DATASET)
    assert page.count("<svg") >= 2


def test_points_are_means_over_equal_stretches(history):
    loss, *_ = (str(chart) for chart in report._course(history))
    # 1,000 steps in stretches of two: the first mean is of the first two losses.
    assert f"From {20 * (1 + 0.99) / 2:.3g} to" in loss


def test_the_recipe_is_shown_in_words_with_the_length_that_was_used(history):
    page = report.render(described(), history, None, DATASET)
    assert re.search(r"<td>steps</td>\s*<td class=\"number\">1,000</td>", page)
    assert "<td>epochs</td>" not in page
    assert re.search(r"<td>learning rate</td>\s*<td class=\"number\">0.1</td>", page)
    assert re.search(r"<td>flip average</td>\s*<td class=\"number\">no</td>", page)
    assert "None" not in page
    by_epochs = {**described(), "recipe": dataclasses.asdict(Recipe())}
    page = report.render(by_epochs, history, None, DATASET)
    assert "<td>epochs</td>" in page
    assert "<td>steps</td>" not in page

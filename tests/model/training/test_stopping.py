import numpy as np
import pytest

from facemill.model.data.validation_pairs import Scores
from facemill.model.training import stopping


def rows(*values: float) -> list[dict[str, float]]:
    return [{"step": step, "accuracy": value} for step, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("impostors", "name"),
    [(9, None), (10, "tar_at_fmr_0.1"), (100, "tar_at_fmr_0.01"), (5000, "tar_at_fmr_0.001")],
)
def test_tar_is_taken_at_the_lowest_rate_that_the_pairs_support(impostors, name):
    scores = Scores(np.array([0.2, 0.9, 0.9, 0.9]), np.linspace(-0.5, 0.5, impostors))
    found = stopping.figures(scores)
    assert found.items() >= scores.metrics.items()
    extra = set(found) - set(scores.metrics)
    assert extra == ({name, "tar_low", "tar_high"} if name else set())
    assert stopping.watched({"step": 3, **found}) == (name or "accuracy")
    if name:
        assert found[name] == 0.75


def test_the_first_of_equal_validations_is_the_best():
    assert stopping.best(rows(0.5, 0.8, 0.7, 0.8)) == 1


@pytest.mark.parametrize(
    ("values", "patience", "over"),
    [
        ((), 2, False),
        ((0.5, 0.4), 2, False),
        ((0.5, 0.4, 0.5), 2, True),
        ((0.5, 0.4, 0.6), 2, False),
        ((0.5, 0.4, 0.3, 0.2), 0, False),
    ],
)
def test_training_is_over_when_the_last_validations_are_no_better(values, patience, over):
    assert stopping.is_over(rows(*values), patience) is over

import math

import pytest

from facemill.model.recipes.choices import SCHEDULES
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.schedules import (
    Rising,
    Schedule,
    WarmupCosine,
    WarmupPolynomial,
    WarmupSteps,
    build,
)


def test_the_rate_rises_from_the_first_step_to_the_end_of_the_warmup():
    rate = WarmupCosine(peak=0.4, warmup=4, total=12)
    rising = [float(rate(step)) for step in range(5)]
    assert rising == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_the_rate_falls_as_half_a_cosine_and_stays_above_zero_in_the_last_step():
    rate = WarmupCosine(peak=0.4, warmup=4, total=12)
    falling = [float(rate(step)) for step in range(4, 12)]
    assert falling == pytest.approx(
        [0.2 * (1 + math.cos(math.pi * index / 8)) for index in range(8)], rel=1e-5
    )
    assert falling[4] == pytest.approx(0.2)
    assert 0 < falling[-1] < 0.02
    assert float(rate(12)) == pytest.approx(0, abs=1e-7)


def test_a_run_without_warmup_starts_at_the_peak():
    assert float(WarmupCosine(0.3, 0, 5)(0)) == pytest.approx(0.3)


def test_a_warmup_that_is_longer_than_the_run_only_rises():
    rate = WarmupCosine(1.0, 10, 5)
    assert [float(rate(step)) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_the_config_builds_the_same_schedule():
    rate = WarmupCosine(0.4, 4, 12)
    again = WarmupCosine(**rate.get_config())
    assert [float(again(step)) for step in range(13)] == [float(rate(step)) for step in range(13)]


def test_a_constant_rate_stays_at_the_peak():
    rate = Schedule(0.4, 2, 10)
    assert [float(rate(step)) for step in range(4)] == pytest.approx([0.2, 0.4, 0.4, 0.4])


def test_a_polynomial_falls_as_a_power_of_what_is_left():
    rate = WarmupPolynomial(0.4, 2, 10, power=2.0)
    expected = [0.4 * (1 - index / 8) ** 2 for index in range(8)]
    assert [float(rate(step)) for step in range(2, 10)] == pytest.approx(expected, rel=1e-5)


def test_steps_lower_the_rate_at_each_milestone():
    rate = WarmupSteps(0.4, 2, 10, milestones=[5, 7], factor=0.1)
    found = [float(rate(step)) for step in range(10)]
    assert found == pytest.approx([0.2, 0.4, 0.4, 0.4, 0.4, 0.04, 0.04, 0.004, 0.004, 0.004])


def test_a_range_test_rises_by_one_factor():
    rate = Rising(1e-4, 10.0, 6)
    found = [float(rate(step)) for step in range(6)]
    assert found == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1, 10], rel=1e-4)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_recipe_counts_warm_up_and_milestones_in_epochs(name):
    recipe = Recipe(
        schedule=name, milestones=(2.0, 2.5), step_factor=0.5, learning_rate=0.4, warmup_epochs=0.5
    )
    rate = build(recipe, epoch_steps=4, total=16)
    again = type(rate)(**rate.get_config())
    found = [float(rate(step)) for step in range(16)]
    assert [float(again(step)) for step in range(16)] == found
    assert found[:2] == pytest.approx([0.2, 0.4])
    if name == "step":
        assert found[6:] == pytest.approx([0.4, 0.4, 0.2, 0.2, *[0.1] * 6])

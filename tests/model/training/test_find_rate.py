import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data.vocabulary import Transform
from facemill.model.training import find_rate
from facemill.model.training.trainer import Data
from tests.model.training.one_step import ONE_STEP

RATES = np.geomspace(1e-6, 10, 100).tolist()


def curve(lowest: int) -> list[float]:
    """Losses that fall to step `lowest` and rise beyond it."""
    return [10 - 0.05 * min(step, lowest) + 0.4 * max(0, step - lowest) for step in range(100)]


def test_a_tenth_of_the_rate_with_the_lowest_smoothed_loss_is_proposed():
    found = find_rate.propose(RATES, curve(60))
    at = int(np.argmin(found.smoothed))
    assert 60 <= at < 66
    assert found.proposal == pytest.approx(RATES[at] / 10, rel=0.05)
    assert "rises beyond it; a tenth of that rate leaves room." in found.reason
    assert (found.rates, found.losses) == (RATES, curve(60))


def test_a_curve_that_only_falls_says_that_no_higher_rate_was_tried():
    found = find_rate.propose(RATES, curve(99))
    assert found.proposal == pytest.approx(1.0)
    assert "no higher rate was tried" in found.reason


def test_a_curve_without_a_fall_proposes_nothing():
    found = find_rate.propose(RATES, curve(0))
    assert found.proposal is None
    assert "hardly fell at any rate" in found.reason


def test_an_easy_first_batch_hides_no_fall():
    losses = curve(60)
    losses[0] = 5.0
    found = find_rate.propose(RATES, losses)
    assert found.smoothed[0] == min(found.smoothed)
    assert found.proposal == pytest.approx(find_rate.propose(RATES, curve(60)).proposal, rel=0.1)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 12])
def test_short_tests_start_at_the_mean_of_fewer_batches(steps):
    falling = [10.0 - step for step in range(steps)]
    found = find_rate.propose(RATES[:steps], falling)
    assert (found.proposal is None) == (steps == 1)


def test_losses_from_the_first_that_is_not_finite_are_left_out():
    losses = [*curve(60)[:80], float("nan"), 3.0]
    found = find_rate.propose(RATES, losses)
    assert (len(found.rates), len(found.losses), len(found.smoothed)) == (80, 80, 80)
    assert find_rate.propose(RATES, [float("inf")]).proposal is None


@pytest.mark.moderate
def test_the_test_trains_at_rising_rates_and_ends_where_the_loss_explodes(
    dataset, manifest, transform: Transform, strategy: tf.distribute.Strategy, tmp_path
):
    data = Data(str(dataset), manifest, transform, None)
    recipe = dataclasses.replace(ONE_STEP, head="softmax", steps=60)
    # As the command does; otherwise the weights would depend on the tests before this one.
    keras.utils.set_random_seed(recipe.seed)
    found = find_rate.measure(data, recipe, strategy, str(tmp_path / "none"), str(tmp_path / "l"))
    assert found.rates == pytest.approx(np.geomspace(1e-6, 10, 60)[: len(found.rates)], rel=1e-4)
    assert found.proposal is not None
    assert 1e-5 < found.proposal < 1
    assert max(found.smoothed[-20:]) > 2 * min(found.smoothed)
    assert not list(tmp_path.rglob("ckpt-*"))

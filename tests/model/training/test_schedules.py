import math

import pytest

from facemill.model.training.schedules import WarmupCosine


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

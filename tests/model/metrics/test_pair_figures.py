import numpy as np
import pytest

from facemill.model.metrics import intervals, verification
from facemill.model.metrics.pair_figures import PairFigures

DRAW = np.random.default_rng(5)
GENUINE, IMPOSTOR = DRAW.normal(0.5, 0.2, 200), DRAW.normal(0.1, 0.2, 150)


def test_the_figures_are_those_of_verification():
    found = PairFigures(GENUINE, IMPOSTOR).to_manifest()
    accuracy, threshold = verification.best_accuracy(GENUINE, IMPOSTOR)
    assert (found["accuracy"], found["threshold"]) == (accuracy, threshold)
    right = round(accuracy * 350)
    assert found["accuracy_95"] == list(intervals.wilson(right, 350))
    rows = verification.as_json(verification.tar_at_far(GENUINE, IMPOSTOR, (1e-3, 1e-2, 1e-1)))
    assert found["tar_at_fmr"] == rows
    assert [row["supported"] for row in rows] == [False, True, True]
    assert found["intervals"] == "of pairs"


def test_each_epoch_has_tar_at_the_lowest_rate_with_its_interval():
    found = PairFigures(GENUINE, IMPOSTOR).flat()
    assert list(found) == [
        "accuracy", "equal_error_rate", "tar_at_fmr_0.01", "tar_low", "tar_high",
    ]  # fmt: skip
    assert found["tar_low"] < found["tar_at_fmr_0.01"] < found["tar_high"]
    assert list(PairFigures(GENUINE, IMPOSTOR[:9]).flat()) == ["accuracy", "equal_error_rate"]


def test_pairs_of_few_identities_say_less():
    """All pairs of an identity are right or wrong together: the interval is of identities."""
    genuine = np.repeat([0.9, 0.9, 0.9, 0.0], 50)
    impostor = np.linspace(0.2, 0.4, 200)
    clusters = [*np.repeat(["a", "b", "c", "d"], 50), *("abcd" * 50)]
    alone = PairFigures(genuine, impostor).to_manifest()
    together = PairFigures(genuine, impostor, clusters).to_manifest()
    assert together["intervals"] == "of identities"
    for row, other in zip(alone["tar_at_fmr"], together["tar_at_fmr"], strict=True):
        if row["supported"]:
            assert row["tar"] == other["tar"] == 0.75
            low, high = row["tar_95"]
            assert other["tar_95"][0] < low
            assert other["tar_95"][1] > high


def test_where_all_are_right_the_interval_is_not_a_point():
    found = PairFigures(np.full(30, 0.9), np.full(20, 0.1), list("abcde" * 10)).to_manifest()
    assert found["accuracy"] == 1
    assert found["accuracy_95"] == pytest.approx(list(intervals.wilson(50, 50)))

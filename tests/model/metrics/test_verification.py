"""Metrics against hand-computed values and against brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from facemill.model.metrics import verification as v

GENUINE = np.array([0.9, 0.8, 0.8, 0.4])
IMPOSTOR = np.array([0.8, 0.3, 0.2, 0.1])
SCORES = st.lists(st.integers(-5, 5).map(lambda n: n / 5), min_size=1, max_size=30)


def test_roc_by_hand_with_a_tie_across_the_classes() -> None:
    curve = v.roc(GENUINE, IMPOSTOR)
    assert curve.threshold.tolist() == [math.inf, 0.9, 0.8, 0.4, 0.3, 0.2, 0.1]
    assert curve.fmr.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.75, 1]
    assert curve.fnmr.tolist() == [1, 0.75, 0.25, 0, 0, 0, 0]


def test_equal_error_rate_by_hand() -> None:
    assert v.equal_error_rate(v.roc(GENUINE, IMPOSTOR)) == (0.25, 0.8)
    rate, _ = v.equal_error_rate(v.roc(np.array([1.0, 0.9]), np.array([0.1, 0.2])))
    assert rate == 0


def test_best_accuracy_by_hand() -> None:
    accuracy, threshold = v.best_accuracy(GENUINE, IMPOSTOR)
    assert accuracy == 7 / 8
    assert threshold == pytest.approx(0.35)


def test_rates_below_one_impostor_pair_are_not_reported() -> None:
    rows = v.tar_at_far(np.linspace(0.5, 1, 300), np.linspace(0, 0.6, 500), [0.01, 1e-3])
    assert [row.supported for row in rows] == [True, False]
    assert v.as_json(rows)[1]["reason"] == "not supported by 500 impostor pairs"
    assert v.supports(1000, 1e-3)
    assert v.thresholds_at(GENUINE, IMPOSTOR, [0.25, 0.01]) == {"0.25": 0.4}


def test_tar_by_hand() -> None:
    (row,) = v.tar_at_far(GENUINE, IMPOSTOR, [0.25])
    assert (row.tar, row.threshold) == (1.0, 0.4)


def test_cosine_by_hand_and_the_inputs_that_it_refuses() -> None:
    a = np.array([[1.0, 0.0], [3.0, 4.0]])
    b = np.array([[0.0, 2.0], [3.0, 4.0]])
    assert v.cosine(a, b).tolist() == pytest.approx([0, 1])
    for bad in (np.zeros((2, 2)), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="finite and not zero"):
            v.cosine(a, bad)


@pytest.mark.moderate
@given(SCORES, SCORES)
def test_roc_and_accuracy_agree_with_brute_force(genuine: list, impostor: list) -> None:
    g, i = np.array(genuine), np.array(impostor)
    curve = v.roc(g, i)
    for threshold, fmr, fnmr in zip(curve.threshold, curve.fmr, curve.fnmr, strict=True):
        assert fmr == sum(score >= threshold for score in impostor) / len(impostor)
        assert fnmr == sum(score < threshold for score in genuine) / len(genuine)
    accuracy, threshold = v.best_accuracy(g, i)
    assert accuracy == v.accuracy_at(g, i, threshold)
    assert accuracy == max(v.accuracy_at(g, i, t) for t in [*genuine, *impostor, 2.0])


@pytest.mark.moderate
@given(SCORES, SCORES, st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 1.0]))
def test_threshold_at_is_the_lowest_that_keeps_the_rate(
    genuine: list, impostor: list, fmr: float
) -> None:
    threshold = v.threshold_at(v.roc(np.array(genuine), np.array(impostor)), fmr)
    assert sum(s >= threshold for s in impostor) <= fmr * len(impostor) + 1e-9
    for lower in {s for s in [*genuine, *impostor] if s < threshold}:
        assert sum(s >= lower for s in impostor) > fmr * len(impostor) + 1e-9


@pytest.mark.moderate
@given(SCORES, SCORES)
def test_equal_error_rate_lies_between_the_rates_of_its_neighbors(
    genuine: list, impostor: list
) -> None:
    thresholds = [math.inf, *genuine, *impostor]
    rates = [
        (
            sum(score >= t for score in impostor) / len(impostor),
            sum(score < t for score in genuine) / len(genuine),
        )
        for t in thresholds
    ]
    rate, _ = v.equal_error_rate(v.roc(np.array(genuine), np.array(impostor)))
    assert max(min(pair) for pair in rates) - 1e-12 <= rate
    assert rate <= min(max(pair) for pair in rates) + 1e-12


@pytest.mark.moderate
@given(SCORES, SCORES, st.sampled_from([0.05, 0.1, 0.3, 0.5, 1.0]))
def test_tar_is_the_best_of_all_thresholds_that_keep_the_rate(
    genuine: list, impostor: list, far: float
) -> None:
    (row,) = v.tar_at_far(np.array(genuine), np.array(impostor), [far])
    if far * len(impostor) < 1 - 1e-9:
        assert row.tar is None
        return
    kept = [
        sum(score >= t for score in genuine) / len(genuine)
        for t in [math.inf, *genuine, *impostor]
        if sum(score >= t for score in impostor) <= far * len(impostor) + 1e-9
    ]
    assert row.tar == pytest.approx(max(kept))


@pytest.mark.parametrize("bad", [[], [0.1, math.nan], [math.inf]])
def test_scores_that_are_none_or_not_numbers_are_refused(bad: list) -> None:
    with pytest.raises(ValueError, match="genuine scores must be"):
        v.roc(np.array(bad), IMPOSTOR)
    with pytest.raises(ValueError, match="impostor scores must be"):
        v.roc(GENUINE, np.array(bad))


def test_a_pair_that_can_never_match_is_never_accepted() -> None:
    genuine, impostor = np.full(3, -math.inf), np.array([0.5])
    accuracy, threshold = v.best_accuracy(genuine, impostor)
    assert accuracy == 0.25
    assert accuracy == v.accuracy_at(genuine, impostor, threshold)
    assert math.isfinite(threshold)
    # It is not accepted at the lowest threshold of the curve either.
    curve = v.roc(np.array([0.9, 0.7, -math.inf, -math.inf]), np.array([0.8, 0.1, -math.inf, 0.2]))
    assert curve.threshold.tolist() == [math.inf, 0.9, 0.8, 0.7, 0.2, 0.1]
    assert curve.fmr.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.75]
    assert curve.fnmr.tolist() == [1, 0.75, 0.75, 0.5, 0.5, 0.5]
    assert v.equal_error_rate(curve) == (0.5, 0.2)


def test_rates_that_do_not_cross_have_no_equal_error_rate() -> None:
    curve = v.roc(np.array([0.9, -math.inf, -math.inf]), np.array([0.8, -math.inf, -math.inf]))
    assert all(math.isnan(value) for value in v.equal_error_rate(curve))


def test_without_any_score_there_is_a_finite_threshold() -> None:
    nothing = np.full(2, -math.inf)
    accuracy, threshold = v.best_accuracy(nothing, nothing)
    assert accuracy == 0.5
    assert math.isfinite(threshold)


@pytest.mark.moderate
@given(SCORES, SCORES)
def test_roc_agrees_with_scikit_learn_and_only_rises(genuine: list, impostor: list) -> None:
    curve = v.roc(np.array(genuine), np.array(impostor))
    assert np.all(np.diff(curve.fmr) >= 0)
    assert np.all(np.diff(curve.fnmr) <= 0)
    labels = [1] * len(genuine) + [0] * len(impostor)
    fmr, tmr, _ = metrics.roc_curve(labels, genuine + impostor, drop_intermediate=False)
    np.testing.assert_allclose(curve.fmr, fmr, atol=1e-12)
    np.testing.assert_allclose(1 - curve.fnmr, tmr, atol=1e-12)


@pytest.mark.moderate
@given(SCORES, SCORES, st.randoms(use_true_random=False))
def test_the_order_of_the_scores_does_not_matter(genuine: list, impostor: list, draw) -> None:
    first = v.tar_at_far(np.array(genuine), np.array(impostor), (0.5, 0.1))
    draw.shuffle(genuine)
    draw.shuffle(impostor)
    assert v.tar_at_far(np.array(genuine), np.array(impostor), (0.5, 0.1)) == first

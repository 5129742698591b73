import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.model.metrics.group_rates import group_rates

SCORES = np.array([0.9, 0.8, 0.2, 0.1, 0.9, 0.4, 0.6, 0.1, 0.5])
GENUINE = np.array([1, 1, 0, 0, 1, 1, 0, 0, 0], bool)
GROUPS = ["a", "a", "a", "a", "b", "b", "b", "b", None]
CLUSTERS = ["p", "q", "p", "q", "r", "s", "r", "s", "p"]


def test_by_hand():
    found = group_rates(SCORES, GENUINE, GROUPS, CLUSTERS, 0.5, 0.5)
    one, other = found["groups"]
    assert (one["group"], one["genuine"], one["fnmr"], one["fmr"]) == ("a", 2, 0, 0)
    assert (other["group"], other["impostor"], other["fnmr"], other["fmr"]) == ("b", 2, 0.5, 0.5)
    assert other["fnmr_95"] == [0, 1]
    gap = found["gaps"]["fnmr"]
    assert (gap["highest"], gap["lowest"], gap["difference"]) == ("b", "a", 0.5)
    assert gap["interval_95"] == [0, 1]
    assert (found["pairs_within"], found["pairs_outside"]) == (8, 1)


def test_a_rate_that_its_pairs_do_not_support_is_none():
    found = group_rates(SCORES, GENUINE, GROUPS, CLUSTERS, 0.5, 0.1)
    assert [row["fmr"] for row in found["groups"]] == [None, None]
    assert found["gaps"]["fmr"] is None
    alone = group_rates(SCORES[:1], GENUINE[:1], ["a"], ["p"], 0.5, 0.1)["groups"][0]
    assert (alone["impostor"], alone["fmr"], alone["fnmr"], alone["fnmr_95"]) == (0, None, 0, None)


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_neither_order_nor_names_of_people_matter(seed):
    draw = np.random.default_rng(seed)
    scores, genuine = draw.random(60), draw.random(60) < 0.5
    groups = draw.choice(["a", "b", "c"], 60).tolist()
    people = draw.integers(0, 9, 60)
    first = group_rates(scores, genuine, groups, [f"p{one}" for one in people], 0.5, 0.2)
    order = draw.permutation(60)
    other = group_rates(
        scores[order],
        genuine[order],
        [groups[at] for at in order],
        [f"x{9 - people[at]}" for at in order],
        0.5,
        0.2,
    )
    assert first == other
    assert sum(row["genuine"] for row in first["groups"]) == genuine.sum()
    for row in first["groups"]:
        low, high = row["fnmr_95"] or (row["fnmr"],) * 2
        assert low <= row["fnmr"] + 1e-9
        assert row["fnmr"] <= high + 1e-9


def test_a_rate_is_its_share_of_wrong_pairs():
    rate = group_rates(SCORES, GENUINE, ["g"] * 9, CLUSTERS, 0.45, 0.5)["groups"][0]
    assert rate["fnmr"] == pytest.approx(1 / 4)
    assert rate["fmr"] == pytest.approx(2 / 5)

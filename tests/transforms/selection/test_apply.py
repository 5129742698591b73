from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.selection import weights
from facemill.transforms.selection.apply import apply, apply_to_share, preference_keys, tally
from facemill.transforms.selection.decisions import (
    KEEP,
    OF_ATTRIBUTE,
    TOO_FEW,
    TOO_MANY,
    TRAIN,
    is_new,
)
from facemill.transforms.selection.rules import Rule
from tests.transforms.selection.decided import decisions

seeds = st.integers(0, 2**32 - 1)
prefers = st.sampled_from(["hash", "quality"])
rules = st.lists(
    st.one_of(
        st.builds(
            Rule,
            st.sampled_from(["min-images", "cap", "oversample"]),
            st.integers(1, 60).map(float),
            st.just("age"),
        ),
        st.builds(
            Rule, st.just("effective-number"), st.sampled_from([0.0, 0.5, 0.999]), st.just("age")
        ),
    ),
    min_size=1,
    max_size=4,
)


def test_rules_of_an_attribute_skip_images_without_a_value():
    rows = decisions(0, 12, values=3, plain=True)
    rows["group"] = np.arange(12) % 3
    apply(rows, Rule("cap", 3, "age"), "group", "hash")
    kept = rows[rows["reason"] == KEEP]
    assert Counter(kept["group"].tolist()) == {0: 4, 1: 3, 2: 3}
    assert set(rows["reason"].tolist()) == {KEEP, TOO_MANY + OF_ATTRIBUTE}
    apply(rows, Rule("min-images", 4, "age"), "group", "hash")
    assert Counter(rows["reason"].tolist())[TOO_FEW + OF_ATTRIBUTE] == 6


def test_weights_of_several_rules_multiply():
    rows = decisions(0, 4, values=2, plain=True)
    rows["identity"] = 7
    rows["group"] = [1, 2, 1, 2]
    apply(rows, Rule("effective-number", 0.5), "identity", "hash")
    apply(rows, Rule("effective-number", 0.9, "age"), "group", "hash")
    np.testing.assert_allclose(rows["weight"], 0.5 / (1 - 0.5**4) * 0.1 / (1 - 0.9**2))


@given(seeds, prefers)
@settings(deadline=None, max_examples=60)
def test_preference_keys_sort_by_origin_and_preference(seed, prefer):
    rows = decisions(seed, 60, values=1)
    keys = preference_keys(rows, prefer)
    assert len(np.unique(keys)) == len(rows)
    rows = rows[np.argsort(keys)]
    new = is_new(rows)
    assert (np.diff(new.astype(int)) >= 0).all()
    if prefer == "quality":
        for some in (rows[new], rows[~new]):
            assert (np.diff(some["sharpness"]) <= 0).all()


@pytest.mark.slow
@given(seeds, rules, prefers, st.integers(1, 5))
@settings(deadline=None, max_examples=200)
def test_rules_decide_on_shares_as_on_the_whole_class(seed, rules, prefer, parts):
    whole = decisions(seed, 50, values=1)
    whole = whole[whole["group"] != 0]
    whole = whole[np.argsort(preference_keys(whole, prefer))]
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(whole) + 1, parts))
    shares = [share.copy() for share in np.split(whole, cuts)]
    for rule in rules:
        apply(whole, rule, "group", prefer)
        tallies = [tally(share, rule) for share in shares]
        images, records = (sum(one[column] for one in tallies) for column in (0, 1))
        before = 0
        for share, (images_of_share, _) in zip(shares, tallies, strict=True):
            apply_to_share(share, rule, before, images, records)
            before += images_of_share
        # To the last bit: a manifest's bytes depend on it.
        assert np.concatenate(shares).tobytes() == whole.tobytes()


@pytest.mark.parametrize("prefer", ["hash", "quality"])
def test_a_cap_keeps_the_images_that_rank_first(prefer):
    rows = decisions(5, 40, values=1)
    rows = rows[rows["group"] != 0]
    kept_before = rows["reason"] == KEEP
    apply(rows, Rule("cap", 9, "age"), "group", prefer)
    first = np.sort(preference_keys(rows[kept_before], prefer))[:9]
    kept = rows["reason"] == KEEP
    assert set(first.tolist()) <= set(preference_keys(rows[kept], prefer).tolist())
    assert kept.sum() == max(9, int((kept_before & ~is_new(rows)).sum()))


def test_oversampling_counts_the_train_records_of_the_class():
    rows = decisions(3, 30, values=1, plain=True)
    rows["split"][::3] = TRAIN + 1
    rows["copies"][:5] = 4
    train = rows["split"] == TRAIN
    before = rows["copies"].copy()
    apply(rows, Rule("oversample", 50, "age"), "group", "hash")
    assert rows["copies"][train].sum() == max(50, before[train].sum())
    assert (rows["copies"][~train] == before[~train]).all()
    assert weights.sums(rows["group"], rows["copies"])[0] == rows["copies"].sum()

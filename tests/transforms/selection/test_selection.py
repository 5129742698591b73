import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.core import row_ids
from facemill.transforms.core.row_ids import BASE
from facemill.transforms.dataset.identity_filter import NO_IDENTITY, IdentityFilter, identity_key
from facemill.transforms.selection.rules import Rule
from facemill.transforms.selection.selection import (
    EXCLUDED,
    HELD_OUT,
    KEEP,
    NOT_INCLUDED,
    OF_ATTRIBUTE,
    TOO_FEW,
    TOO_MANY,
    Selection,
    explain,
)
from tests.transforms.selection.selecting import (
    NO_KEYS,
    RULES,
    SHARES,
    by_row_id,
    decide,
    folder_of,
    images,
    keys,
    people,
    quick,
)


@pytest.mark.moderate
@given(people, people, st.sampled_from(RULES))
@quick
def test_other_identities_do_not_change_the_decisions_on_an_identity(given, others, rules):
    mine = dict(given)
    added = [(f"other {who}", count) for who, count in others]
    given_selection = Selection(SHARES, rules=rules)
    few = by_row_id(decide(images(given), given_selection))
    many = by_row_id(decide(images([*mine.items(), *added]), given_selection))
    assert few.items() <= many.items()


@pytest.mark.moderate
@given(people, st.sampled_from(RULES), st.randoms(use_true_random=False), st.booleans())
@quick
def test_decisions_do_not_depend_on_the_order_of_rows(given, rules, random, by_image):
    usable = images([*given, (None, 2)])
    order = list(range(len(usable)))
    random.shuffle(order)
    given_selection = Selection(SHARES, "image" if by_image else "identity", rules=rules)
    assert by_row_id(decide(usable[order], given_selection)) == by_row_id(
        decide(usable, given_selection)
    )


def test_excluded_identities_have_the_reason_of_their_exclusion():
    usable = images([("ada", 2), ("bob", 2), ("eve", 2), ("joe", 2), (None, 2)])
    identity_filter = IdentityFilter(include=keys("ada", "bob", "joe"), exclude=keys("bob"))
    rules = Selection(SHARES, identity_filter=identity_filter)
    rows = decide(usable, rules, held_out=keys("joe"))
    expected = {"ada": KEEP, "bob": EXCLUDED, "eve": NOT_INCLUDED, "joe": HELD_OUT}
    for who, reason in expected.items():
        mine = rows[rows["identity"] == identity_key(1, who)]
        assert set(mine["reason"].tolist()) == {reason}
    assert set(rows["reason"][rows["identity"] == NO_IDENTITY].tolist()) == {NOT_INCLUDED}
    assert len({explain(reason, 0, 0, None) for reason in expected.values()}) == 4
    # Images without an identity are kept if nothing is held out.
    assert set(decide(images([(None, 2)]), Selection(SHARES), keys())["reason"].tolist()) == {KEEP}


@given(people, st.integers(1, 6), st.sampled_from(["hash", "quality"]))
@quick
def test_a_cap_keeps_its_number_of_images_of_each_identity(given, cap, prefer):
    rows = decide(images(given), Selection(SHARES, rules=(Rule("cap", cap),), prefer=prefer))
    for who, count in given:
        mine = rows[rows["identity"] == identity_key(1, who)]
        kept = mine[mine["reason"] == KEEP]
        assert len(kept) == min(count, cap)
        gone = mine[mine["reason"] == TOO_MANY]
        assert len(kept) + len(gone) == count
        assert set(gone["have"].tolist()) <= {count}
        assert set(gone["limit"].tolist()) <= {cap}
        if prefer == "quality" and len(gone):
            assert kept["sharpness"].min() >= gone["sharpness"].max()


@pytest.mark.moderate
@given(people, st.integers(1, 6), st.integers(1, 6))
@quick
def test_a_greater_cap_keeps_the_images_that_a_smaller_one_keeps(given, one, other):
    low, high = (
        {
            row["row_id"]
            for row in decide(images(given), Selection(SHARES, rules=(Rule("cap", cap),)))
            if row["reason"] == KEEP
        }
        for cap in sorted((one, other))
    )
    assert low <= high


@pytest.mark.moderate
@given(people, st.integers(1, 6))
@quick
def test_small_identities_are_dropped_and_the_reason_says_how_small(given, least):
    rows = decide(images(given), Selection(SHARES, rules=(Rule("min-images", least),)))
    for who, count in given:
        mine = rows[rows["identity"] == identity_key(1, who)]
        assert set(mine["reason"].tolist()) == {KEEP if count >= least else TOO_FEW}
    assert explain(TOO_FEW, 2, 3, None) == "identity has 2 images, fewer than the 3 required"
    attribute = explain(TOO_MANY + OF_ATTRIBUTE, 9, 3, "age")
    assert attribute == "its age has 9 images, more than the 3 allowed"


def test_rules_of_identities_skip_images_without_an_identity():
    rules = (Rule("cap", 1), Rule("min-images", 2), Rule("oversample", 5))
    rows = decide(images([(None, 20)]), Selection(SHARES, rules=rules))
    assert set(rows["reason"].tolist()) == {KEEP}
    assert set(rows["copies"].tolist()) == {1}


@given(people)
@quick
def test_only_the_train_split_gets_copies_and_weights(given):
    rules = (Rule("oversample", 6), Rule("effective-number", 0.9))
    rows = decide(images(given), Selection(SHARES, rules=rules))
    for who, count in given:
        mine = rows[rows["identity"] == identity_key(1, who)]
        if folder_of(rows, who) == {"train"}:
            assert mine["copies"].sum() == max(6, count)
            np.testing.assert_allclose(mine["weight"], 0.1 / (1 - 0.9**count))
        else:
            assert set(mine["copies"].tolist()) == {1}
            assert set(mine["weight"].tolist()) == {1.0}


@pytest.mark.moderate
@given(people, people, st.integers(1, 5), st.integers(1, 4))
@quick
def test_images_of_the_base_are_never_dropped_and_count_under_a_cap(base, new, cap, least):
    usable = np.concatenate([images(base, BASE), images(new)])
    all_keys = np.sort(np.array([identity_key(1, who) for who, _ in base], np.uint64))
    rules = Selection(SHARES, rules=(Rule("min-images", least), Rule("cap", cap)))
    rows = decide(usable, rules)
    in_base = row_ids.origins_of(rows["row_id"]) == BASE
    assert set(rows["reason"][in_base].tolist()) <= {KEEP}
    for who, count in new:
        held = dict(base).get(who, 0)
        mine = rows[(rows["identity"] == identity_key(1, who)) & ~in_base]
        kept = int((mine["reason"] == KEEP).sum())
        assert kept == (min(count, max(0, cap - held)) if held + count >= least else 0)
    # Images of the base stay even if their identity is now excluded.
    for left_out in (IdentityFilter(exclude=all_keys), IdentityFilter(include=NO_KEYS)):
        rows = decide(usable, Selection(SHARES, identity_filter=left_out), held_out=all_keys)
        assert set(rows["reason"][in_base].tolist()) <= {KEEP}

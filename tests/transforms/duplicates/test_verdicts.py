from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.row_ids import BASE, HELD_OUT, NEW, chunk_number, row_ids_of
from facemill.transforms.dataset.outcomes import (
    CONFLICT,
    DROPPED,
    DUPLICATE,
    REJECTED,
)
from facemill.transforms.duplicates import verdicts as module
from facemill.transforms.duplicates.choices import DROP, KEEP_MAJORITY, POLICIES, QUARANTINE
from facemill.transforms.duplicates.verdicts import NEAR, Member, Verdict, best, verdicts
from tests.reasons import because


def member(
    name: str,
    identity: str | None = "ada",
    origin: int = NEW,
    area=100,
    sharpness=1.0,
    pixels=None,
    aside: Verdict | None = None,
) -> Member:
    task = int.from_bytes(name.encode()[:3], "big")
    (row_id,) = row_ids_of(chunk_number(origin, task, 0), 1).tolist()
    return Member(row_id, name, identity, pixels or name, area, sharpness, aside)


def told(members: list[Member], policy: str = DROP) -> dict[str, tuple[str, str, str]]:
    names = {one.row_id: one.image_id for one in members}
    return {
        names[row_id]: (verdict.outcome, verdict.reason, verdict.duplicate_of)
        for row_id, verdict in verdicts(members, policy).items()
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_all_but_the_best_are_duplicates_of_it(policy):
    members = [member("a"), member("b", area=200, pixels="x"), member("c", pixels="x")]
    assert told(members, policy) == {
        "a": (DUPLICATE, "near duplicate", "b"),
        "c": (DUPLICATE, "same pixels", "b"),
    }


def test_the_best_is_the_largest_then_the_sharpest_then_the_first_by_name():
    assert best([member("a"), member("b", area=101)]).image_id == "b"
    assert best([member("a"), member("b", sharpness=2.0)]).image_id == "b"
    assert best([member("b"), member("a")]).image_id == "a"
    assert best([member("a", area=101), member("b", sharpness=9.0)]).image_id == "a"
    # Who it is counts more than how large it is, and what a dataset holds more than either.
    assert best([member("a", None, area=999), member("b")]).image_id == "b"
    assert best([member("a", area=999), member("b", None, BASE)]).image_id == "b"


def test_a_picture_of_nobody_is_a_duplicate_of_the_same_with_a_name():
    members = [member("a", None, area=999), member("b"), member("c", None)]
    assert told(members) == {
        "a": (DUPLICATE, "near duplicate", "b"),
        "c": (DUPLICATE, "near duplicate", "b"),
    }
    assert told([member("b", None), member("a", None)]) == {"b": (DUPLICATE, "near duplicate", "a")}


@pytest.mark.parametrize("policy", [DROP, QUARANTINE])
def test_pictures_under_two_names_are_all_conflicts_that_name_the_other(policy):
    members = [
        member("a", "ada"),
        member("b", "bob", area=50),
        member("c", "bob", pixels="a"),
        member("d", None),
    ]
    assert told(members, policy) == {
        "a": (CONFLICT, "same pixels under identity bob", "c"),
        "b": (CONFLICT, "near duplicate under identity ada", "a"),
        "c": (CONFLICT, "same pixels under identity ada", "a"),
        # The label that it could be given is in doubt too.
        "d": (CONFLICT, "near duplicate under identity ada", "a"),
    }


def test_the_majority_keeps_its_best_picture_where_it_is_one():
    members = [member("a", "ada"), member("b", "bob"), member("c", "bob", area=200)]
    members.append(member("d", None))
    assert told(members, KEEP_MAJORITY) == {
        "a": (CONFLICT, "near duplicate under identity bob", "c"),
        "b": (DUPLICATE, "near duplicate", "c"),
        "d": (DUPLICATE, "near duplicate", "c"),
    }
    tie = [*members, member("e", "ada")]
    assert {outcome for outcome, _, _ in told(tie, KEEP_MAJORITY).values()} == {CONFLICT}
    assert len(told(tie, KEEP_MAJORITY)) == 5


@pytest.mark.parametrize("policy", POLICIES)
def test_a_held_out_picture_drops_all_whatever_their_names(policy):
    members = [
        member("a", "ada"),
        member("b", "bob", pixels="h"),
        member("c", None),
        member("h", "eve", HELD_OUT),
        member("i", None, HELD_OUT, area=999),
        member("o", "ada", BASE),
    ]
    assert told(members, policy) == {
        "a": (DROPPED, "near duplicate in the held-out set", "h"),
        "b": (DROPPED, "same pixels in the held-out set", "h"),
        "c": (DROPPED, "near duplicate in the held-out set", "h"),
        # Its record is written already: it is for the run to refuse that.
        "o": (DROPPED, "near duplicate in the held-out set", "h"),
    }
    assert verdicts(members, policy)[members[-1].row_id].is_leak


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("outcome", [CONFLICT, DUPLICATE, DROPPED, REJECTED])
def test_what_a_held_out_dataset_set_aside_is_held_out_too(policy, outcome):
    aside = Verdict(outcome, because("some reason"), "x")
    members = [
        member("a", "ada"),
        member("h", "eve", HELD_OUT, 0, 0, "a", aside),
        member("i", "eve", HELD_OUT, 0, 0, "a", aside),
    ]
    assert told(members, policy) == {"a": (DROPPED, "same pixels in the held-out set", "h")}


def conflict(of: str, identity: str) -> Verdict:
    return Verdict(CONFLICT, because(f"near duplicate under identity {identity}"), of)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_a_dataset_has_as_a_conflict_is_one_again(policy):
    old = [
        member("o", "ada", BASE, 0, 0, "p", conflict("q", "bob")),
        member("q", "bob", BASE, 0, 0, "p", conflict("o", "ada")),
    ]
    # By majority too: there are two adas now, and nobody knows better than before.
    new = [member("a", "ada", pixels="p"), member("c", "eve", pixels="p"), member("d", None)]
    assert told(new + old, policy) == {
        "a": (CONFLICT, "same pixels under identity bob", "q"),
        "c": (CONFLICT, "same pixels under identity ada", "o"),
        "d": (CONFLICT, "near duplicate under identity ada", "o"),
    }
    # Of the other side nothing is here, since it was no more than near.
    alone = [member("a", "ada", pixels="p"), old[0]]
    assert told(alone, policy) == {"a": (CONFLICT, "near duplicate under identity bob", "q")}


@pytest.mark.parametrize("policy", POLICIES)
def test_what_a_dataset_has_as_a_duplicate_is_one_of_the_same_again(policy):
    aside = Verdict(DUPLICATE, NEAR, "kept")
    new = [member("a", pixels="o"), member("b", "bob", pixels="o"), member("c", None, pixels="o")]
    old = member("o", "ada", BASE, 0, 0, "o", aside)
    assert told([*new, old], policy) == {
        "a": (DUPLICATE, "same pixels", "kept"),
        "b": (CONFLICT, "same pixels under identity ada", "kept"),
        "c": (DUPLICATE, "same pixels", "kept"),
    }
    # What it keeps is found itself, and so says the same.
    kept = member("kept", "ada", BASE)
    assert told([*new, old, kept], policy) == {
        "a": (DUPLICATE, "near duplicate", "kept"),
        "b": (CONFLICT, "near duplicate under identity ada", "kept"),
        "c": (DUPLICATE, "near duplicate", "kept"),
    }


def test_what_a_dataset_dropped_can_come_back_and_counts_once():
    aside = Verdict(DROPPED, because("identity has 1 images, fewer than the 2 required"), "")
    old = member("o", "ada", BASE, 0, 0, "a", aside)
    assert told([member("a", "ada"), old]) == {"o": (DUPLICATE, "same pixels", "a")}
    assert told([member("a", "bob"), old]) == {}
    assert told([old]) == {}


@pytest.mark.parametrize("policy", POLICIES)
def test_what_a_dataset_holds_stays_and_the_new_ones_are_set_aside(policy):
    members = [
        member("a", "ada", area=999),
        member("b", "bob"),
        member("c", "bob"),
        member("d", None),
        member("o", "ada", BASE, area=10),
    ]
    assert told(members, policy) == {
        "a": (DUPLICATE, "near duplicate", "o"),
        "b": (CONFLICT, "near duplicate under identity ada", "o"),
        "c": (CONFLICT, "near duplicate under identity ada", "o"),
        "d": (DUPLICATE, "near duplicate", "o"),
    }


def test_what_a_dataset_holds_as_nobodys_is_not_given_a_name_afterwards():
    old = member("o", None, BASE)
    assert told([member("a", "ada"), old]) == {"a": (DUPLICATE, "near duplicate", "o")}
    two = [member("a", "ada"), member("b", "bob"), member("c", "bob"), old]
    assert told(two, KEEP_MAJORITY) == {
        "a": (CONFLICT, "near duplicate under identity bob", "b"),
        "b": (DUPLICATE, "near duplicate", "o"),
        "c": (DUPLICATE, "near duplicate", "o"),
    }


components = st.lists(
    st.builds(
        member,
        st.text("abcdefgh", min_size=1, max_size=3),
        st.sampled_from(["ada", "bob", "eve", None]),
        st.sampled_from([NEW, NEW, NEW, BASE, HELD_OUT]),
        st.integers(1, 3),
        st.sampled_from([1.0, 2.0]),
        st.sampled_from(["x", "y"]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one.image_id,
)


@pytest.mark.slow
@given(components, st.sampled_from(POLICIES), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=400)
def test_every_new_picture_but_one_that_is_kept_has_a_verdict_in_any_order(members, policy, random):
    found = verdicts(members, policy)
    shuffled = list(members)
    random.shuffle(shuffled)
    assert verdicts(shuffled, policy) == found
    new = {one.row_id for one in members if one.origin == NEW}
    held_out = any(one.origin == HELD_OUT for one in members)
    # What is held out gets none, and what is held already only where it overlaps with that.
    old = {one.row_id for one in members if one.origin == BASE}
    assert set(found) - new == (old if held_out else set())
    kept = new - set(found)
    assert len(kept) <= 1
    if any(one.origin != NEW for one in members):
        assert not kept
    by_name = {one.image_id: one for one in members}
    by_row_id = {one.row_id: one for one in members}
    for row_id, verdict in found.items():
        mine, other = by_row_id[row_id], by_name[verdict.duplicate_of]
        assert other is not mine
        if verdict.outcome == DUPLICATE:
            # Of something that stays: never of another that is set aside.
            assert other.row_id in kept or other.origin == BASE
            assert mine.identity is None or other.identity in (mine.identity, None)
        elif verdict.outcome == CONFLICT:
            assert other.identity not in (mine.identity, None)
        else:
            assert other.origin == HELD_OUT
        assert ("same pixels" in verdict.reason) == (mine.pixel_sha256 == other.pixel_sha256)


def keeper(labeled: list[Member], policy: str) -> str | None:
    """The identity that keeps the picture: a dataset's, or the majority's; or None."""
    held = [one for one in labeled if one.origin == BASE]
    if held:
        return best(held).identity
    counts = Counter(one.identity for one in labeled).most_common()
    several = len(counts) > 1 and counts[0][1] == counts[1][1]
    return counts[0][0] if policy == KEEP_MAJORITY and not several else None


@pytest.mark.slow
@given(components, st.sampled_from(POLICIES))
@settings(deadline=None, max_examples=400)
def test_a_conflict_names_the_best_picture_under_another_identity(members, policy):
    labeled = [one for one in members if one.identity is not None]
    by_row_id = {one.row_id: one for one in members}
    for row_id, verdict in verdicts(members, policy).items():
        if verdict.outcome == CONFLICT:
            winner = keeper(labeled, policy)
            others = [one for one in labeled if one.identity != by_row_id[row_id].identity]
            named = [one for one in others if winner in (None, one.identity)]
            assert verdict.duplicate_of == best(named).image_id


@pytest.mark.parametrize("policy", POLICIES)
def test_the_work_for_a_picture_does_not_grow_with_its_names(policy, monkeypatch):
    members = [member(f"{number:03d}", f"id{number}") for number in range(500)]
    ranked = 0
    rank = module._rank

    def counting(one):
        nonlocal ranked
        ranked += 1
        return rank(one)

    monkeypatch.setattr(module, "_rank", counting)
    found = verdicts(members, policy)
    assert {verdict.duplicate_of for verdict in found.values()} == {"000", "001"}
    assert ranked <= 4 * len(members)

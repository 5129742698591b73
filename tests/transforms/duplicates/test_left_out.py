import pytest

from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset.outcomes import DROPPED
from facemill.transforms.duplicates.choices import POLICIES
from facemill.transforms.duplicates.left_out import verdicts_of_filtered
from facemill.transforms.duplicates.verdicts import Member, verdicts
from tests.transforms.duplicates.test_verdicts import member


def told(members: list[Member], policy: str, *left_out: str) -> dict[str, tuple[str, str, str]]:
    names = {one.row_id: one.image_id for one in members}
    gone = {one.row_id for one in members if one.identity in left_out}
    return {
        names[row_id]: (verdict.outcome, verdict.reason, verdict.duplicate_of)
        for row_id, verdict in verdicts_of_filtered(members, policy, gone).items()
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_a_picture_of_somebody_left_out_is_no_use_under_another_name(policy):
    members = [
        *(member("a", pixels="x"), member("b", area=900), member("n", None)),
        *(member("c", "bob", pixels="x"), member("d", "bob", area=50)),
    ]
    assert told(members, policy, "bob") == {
        "a": (DROPPED, "same pixels under an identity that is left out", "c"),
        "b": (DROPPED, "near duplicate under an identity that is left out", "c"),
        "n": (DROPPED, "near duplicate under an identity that is left out", "c"),
    }
    # Of who is left out nothing is said here.
    assert told(members, policy, "ada", "bob").keys() == {"n"}
    assert told(members[3:], policy, "bob") == {}


@pytest.mark.parametrize("policy", POLICIES)
def test_where_nobody_is_left_out_the_usual_verdicts_hold(policy):
    members = [member("a"), member("b", area=200), member("c", "bob"), member("d", "bob")]
    assert verdicts_of_filtered(members, policy, set()) == verdicts(members, policy)
    assert verdicts_of_filtered(members, policy, {5}) == verdicts(members, policy)


def test_a_held_out_picture_goes_first():
    members = [member("a"), member("b", "bob"), member("h", "joe", HELD_OUT)]
    usual = verdicts(members)
    assert len(usual) == 2
    assert verdicts_of_filtered(members, "drop", {members[1].row_id}) == usual


def test_what_a_dataset_holds_stays_and_counts_as_shown():
    members = [member("a"), member("b", "bob", BASE), member("c", "ada", BASE)]
    assert told(members, "drop", "bob") == {
        "a": (DROPPED, "near duplicate under an identity that is left out", "b")
    }

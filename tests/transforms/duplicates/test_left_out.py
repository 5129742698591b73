import pytest

from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset.outcomes import DROPPED
from facemill.transforms.duplicates.choices import POLICIES
from facemill.transforms.duplicates.left_out import verdicts_of_filtered
from facemill.transforms.duplicates.verdicts import Member, verdicts
from tests.transforms.duplicates.test_verdicts import member


def outcomes(members: list[Member], policy: str, *left_out: str) -> dict[str, tuple[str, str, str]]:
    names = {one.row_id: one.image_id for one in members}
    excluded = {one.row_id for one in members if one.identity in left_out}
    return {
        names[row_id]: (verdict.outcome, verdict.reason, verdict.duplicate_of)
        for row_id, verdict in verdicts_of_filtered(members, policy, excluded).items()
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_duplicates_of_an_excluded_identity_are_dropped_under_any_identity(policy):
    members = [
        *(member("a", pixels="x"), member("b", area=900), member("n", None)),
        *(member("c", "bob", pixels="x"), member("d", "bob", area=50)),
    ]
    assert outcomes(members, policy, "bob") == {
        "a": (DROPPED, "same pixels under an identity that is left out", "c"),
        "b": (DROPPED, "near duplicate under an identity that is left out", "c"),
        "n": (DROPPED, "near duplicate under an identity that is left out", "c"),
    }
    # Images of excluded identities get no verdict here.
    assert outcomes(members, policy, "ada", "bob").keys() == {"n"}
    assert outcomes(members[3:], policy, "bob") == {}


@pytest.mark.parametrize("policy", POLICIES)
def test_without_excluded_images_the_usual_verdicts_hold(policy):
    members = [member("a"), member("b", area=200), member("c", "bob"), member("d", "bob")]
    assert verdicts_of_filtered(members, policy, set()) == verdicts(members, policy)
    assert verdicts_of_filtered(members, policy, {5}) == verdicts(members, policy)


def test_a_held_out_image_takes_precedence_over_an_excluded_identity():
    members = [member("a"), member("b", "bob"), member("h", "joe", HELD_OUT)]
    usual = verdicts(members)
    assert len(usual) == 2
    assert verdicts_of_filtered(members, "drop", {members[1].row_id}) == usual


def test_images_of_the_base_get_no_verdict_and_can_be_the_named_duplicate():
    members = [member("a"), member("b", "bob", BASE), member("c", "ada", BASE)]
    assert outcomes(members, "drop", "bob") == {
        "a": (DROPPED, "near duplicate under an identity that is left out", "b")
    }

"""Verdicts where lists of names leave identities out of a run."""

from collections.abc import Set as AbstractSet

from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.row_ids import HELD_OUT, NEW
from facemill.transforms.dataset.outcomes import DROPPED
from facemill.transforms.duplicates.verdicts import (
    EXACT,
    NEAR,
    Member,
    Verdict,
    best,
    how,
    verdicts,
)

_CODES = {
    EXACT: ReasonCode.EXCLUDED_SAME_PIXELS,
    NEAR: ReasonCode.EXCLUDED_NEAR_DUPLICATE,
}


def verdicts_of_filtered(
    component: list[Member], policy: str, left_out: AbstractSet[int]
) -> dict[int, Verdict]:
    """What becomes of the new pictures of one component, by place.

    An identity may be left out because a model is tested on it. So its picture is no use under
    another name either, whatever the policy for conflicts: it is dropped. What is left out itself
    is not part of the collection: it is no conflict, is not written for a person to look at, and
    gets no verdict here, since the selection says why it is dropped.

    Args:
        component: pictures that are the same, in any order.
        policy: see `verdicts`, which decides where nobody is left out, or a held-out picture is
            among them.
        left_out: places of pictures whose identity is left out.
    """
    others = [one for one in component if one.row_id in left_out]
    if not others or any(one.origin == HELD_OUT for one in component):
        return verdicts(component, policy)
    shown = best(others)
    return {
        one.row_id: _dropped(one, shown)
        for one in component
        if one.origin == NEW and one.row_id not in left_out
    }


def _dropped(one: Member, other: Member) -> Verdict:
    same = how(one, other)
    reason = Reason(_CODES[same], f"{same} under an identity that is left out")
    return Verdict(DROPPED, reason, other.image_id)

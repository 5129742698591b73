"""Verdicts on components in which identity lists exclude an identity."""

from collections.abc import Set as AbstractSet
from dataclasses import replace

from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.row_ids import HELD_OUT, NEW
from facemill.transforms.dataset.outcomes import DROPPED
from facemill.transforms.duplicates.stars import Star
from facemill.transforms.duplicates.verdicts import (
    EXACT,
    NEAR,
    Member,
    Verdict,
    best,
    match_reason,
    verdicts,
)

_CODES = {
    EXACT: ReasonCode.EXCLUDED_SAME_PIXELS,
    NEAR: ReasonCode.EXCLUDED_NEAR_DUPLICATE,
}


def verdicts_of_filtered(
    component: list[Member], policy: str, left_out: AbstractSet[int]
) -> dict[int, Verdict]:
    """Verdicts on the new images of one component, by row id.

    Images that duplicate an excluded identity's images are dropped under any label and any policy
    for conflicts, since the identity may be excluded because a model is tested on it. The images
    of the excluded identity are not part of the collection: they are no conflicts, go into no
    quarantine, and get no verdict here, since the selection gives their reason.

    Args:
        component: duplicates of each other, in any order.
        policy: see `verdicts`, which decides if the component has no excluded image, or a held-out
            one.
        left_out: row ids of the images whose identity is excluded.
    """
    excluded = [one for one in component if one.row_id in left_out]
    if not excluded or any(one.origin == HELD_OUT for one in component):
        return verdicts(component, policy)
    representative = best(excluded)
    return {
        one.row_id: _dropped(one, representative)
        for one in component
        if one.origin == NEW and one.row_id not in left_out
    }


def verdicts_of_star(star: Star, policy: str, left_out: AbstractSet[int]) -> dict[int, Verdict]:
    """Verdicts on the new images of a star, with similarities, by row id.

    Args:
        star: see `Star`.
        policy: see `verdicts_of_filtered`.
        left_out: see `verdicts_of_filtered`.
    """
    by_name = {one.image_id: one.row_id for one in star.members}
    found = verdicts_of_filtered(star.members, policy, left_out)
    return {
        row_id: replace(
            verdict,
            similarity=star.similarity.get(
                row_id, star.similarity.get(by_name.get(verdict.duplicate_of, -1))
            ),
        )
        for row_id, verdict in found.items()
    }


def _dropped(one: Member, other: Member) -> Verdict:
    same = match_reason(one, other)
    reason = Reason(_CODES[same], f"{same} under an identity that is left out")
    return Verdict(DROPPED, reason, other.image_id)

"""Verdicts on a component: what becomes of each image among its duplicates."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from facemill.transforms.core.reasons import HELD_OUT_IMAGE, Reason, ReasonCode
from facemill.transforms.core.row_ids import BASE, HELD_OUT, NEW, origin_of
from facemill.transforms.dataset.outcomes import CONFLICT, DROPPED, DUPLICATE
from facemill.transforms.duplicates.choices import DROP, KEEP_MAJORITY

EXACT = Reason(ReasonCode.SAME_PIXELS, "same pixels")
NEAR = Reason(ReasonCode.NEAR_DUPLICATE, "near duplicate")

_LEAKS = {
    EXACT: ReasonCode.HELD_OUT_SAME_PIXELS,
    NEAR: ReasonCode.HELD_OUT_NEAR_DUPLICATE,
}


@dataclass(frozen=True, slots=True)
class Member:
    """What a verdict depends on, for one image.

    Attributes:
        row_id: see `transforms.core.row_ids`.
        image_id: its key.
        identity: whose face it shows, or None if the source does not say.
        pixel_sha256: equal for exact duplicates, different for near duplicates.
        area: width times height, without flat margins where copies are compared.
        sharpness: see `transforms.images.quality.Quality`.
        earlier_verdict: of an image of a reference set that its dataset excluded, or could not
            use: the verdict there. The search finds only exact duplicates of such an image.
        attributes: names and values that the source gives, such as an age.
        colorfulness: of the crop, see `transforms.images.quality.colorfulness`.
        border: share of the photo in flat margins, see `transforms.images.margins`.
        density: bytes of the file for each pixel of the photo; 0 if unknown.
        suffix: the ending of its name in small letters, which stands for the file format.
        grey: whether it has no colors and a copy has. This and what follows compare it with its
            copies, see `transforms.duplicates.preference`.
        bordered: whether it has more of a border than a copy.
        coarse: whether it has no less detail than a copy in fewer bytes, so that a part of it is
            what compression adds.
        detail: its sharpness in most places, relative to the copies.
        agreement: mean correlation with the copies.
        marks: share of the places, up to a half, where it has detail that a copy has not.
    """

    row_id: int
    image_id: str
    identity: str | None
    pixel_sha256: str
    area: int
    sharpness: float
    earlier_verdict: "Verdict | None" = None
    attributes: tuple[tuple[str, str], ...] = ()
    colorfulness: float = 0.0
    border: float = 0.0
    density: float = 0.0
    suffix: str = ""
    grey: bool = False
    bordered: bool = False
    coarse: bool = False
    detail: float = 0.0
    agreement: float = 0.0
    marks: float = 0.0

    @property
    def origin(self) -> int:
        """NEW, BASE or HELD_OUT, see `transforms.core.row_ids`."""
        return origin_of(self.row_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an image is excluded.

    Attributes:
        outcome: `duplicate`, `conflict` or `dropped`.
        reason: one phrase, and its code.
        duplicate_of: image_id of the image that is kept, or of the one under another identity;
            can be "" in the earlier verdict on an image that its dataset dropped.
        contradicts: names of the attributes, in order, that have another value for the image that
            is kept.
        similarity: with the best image of the group, from 0 to 1; of that image itself with the
            image that `duplicate_of` names. None where they were not compared.
    """

    outcome: str
    reason: Reason
    duplicate_of: str
    contradicts: tuple[str, ...] = ()
    similarity: float | None = None

    @property
    def is_leak(self) -> bool:
        """Whether the image is excluded because a held-out set has it."""
        return self.outcome == DROPPED and self.reason.code in HELD_OUT_IMAGE


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A verdict with the row that it is on, for the selection and the index.

    Attributes:
        row_id: of the image.
        identity: key of its identity, by which the selection groups, or 0.
        order: keyed hash of its image_id.
        verdict: see `Verdict`.
    """

    row_id: int
    identity: int
    order: int
    verdict: Verdict


def best(members: Iterable[Member]) -> Member:
    """The representative: with an identity, in color, largest, no border, not coarse, sharpest.

    Then come the one that agrees most with the others, the one with the fewest marks, and the first
    by image_id, see `rank`.

    An image of the base stays the representative, whatever is added.
    """
    return min(members, key=rank)


def rank(one: Member) -> tuple:
    """The order of preference, see `best`."""
    unlabeled = one.identity is None
    return (
        *(one.origin != BASE, unlabeled, one.grey, -one.area, one.bordered),
        *(one.coarse, -one.detail, -one.agreement, one.marks, -one.sharpness, one.image_id),
    )


def verdicts(component: list[Member], policy: str = DROP) -> dict[int, Verdict]:
    """Verdicts on the images of one component, by row id.

    - With a held-out image: all others are dropped, since a model trained on one of them would
      have seen the held-out image. Images of the base get this verdict too, and the run refuses it.
    - With an image that the base excluded, and none that it kept: see `_repeated_verdicts`.
    - With one identity: all but the best are duplicates of the best. An image without an identity
      is a duplicate of one with an identity, unless the base kept the one without.
    - With several identities: the label of each image is in doubt. All are conflicts, and each
      names the best image under another identity. Under KEEP_MAJORITY the identity with the most
      images keeps its best one, if no other identity has as many. Images that the base kept stay.

    Args:
        component: duplicates of each other, in any order.
        policy: one of `transforms.duplicates.choices.POLICIES`.
    """
    held_out = [one for one in component if one.origin == HELD_OUT]
    if held_out:
        other = best(held_out)
        leaks = (one for one in component if one.origin != HELD_OUT and not one.earlier_verdict)
        return {one.row_id: _leak(one, other) for one in leaks}
    excluded_before = [one for one in component if one.earlier_verdict is not None]
    if excluded_before:
        component = [one for one in component if one.earlier_verdict is None]
        if not component:
            return {}
        return _superseded(excluded_before, component) | (
            _repeated_verdicts(excluded_before, component) or verdicts(component, policy)
        )
    new = [one for one in component if one.origin == NEW]
    labeled = [one for one in component if one.identity is not None]
    counts = Counter(one.identity for one in labeled)
    if len(counts) <= 1:
        kept = best(component)
        return {one.row_id: _duplicate(one, kept) for one in new if one.row_id != kept.row_id}
    in_base = [one for one in labeled if one.origin == BASE]
    winner = None
    if in_base:
        winner = best(in_base).identity
    elif policy == KEEP_MAJORITY:
        winner = _majority(counts)
    if winner is None:
        # Found once and not for each image: a placeholder photo can be under 100,000 identities.
        first = best(labeled)
        second = best(one for one in labeled if one.identity != first.identity)
        return {
            one.row_id: _conflict(one, second if one.identity == first.identity else first)
            for one in new
        }
    named = best(one for one in labeled if one.identity == winner)
    # The base may have kept the image without an identity, and does not get it a second time.
    kept = best(one for one in component if one.identity in (winner, None))
    return {
        one.row_id: _duplicate(one, kept)
        if one.identity in (winner, None)
        else _conflict(one, named)
        for one in new
        if one.row_id != kept.row_id
    }


def _repeated_verdicts(
    excluded_before: list[Member], component: list[Member]
) -> dict[int, Verdict]:
    """Applies the base's earlier verdicts to new images; empty if the base kept one of the images.

    A new image that duplicates a conflict is a conflict too, whatever the policy: its label is as
    much in doubt as before. A new image that duplicates an earlier duplicate is a duplicate of the
    image that the earlier verdict names, and under another identity a conflict with it.

    Args:
        excluded_before: the images of the component that the base excluded.
        component: all others.
    """
    if any(one.origin == BASE for one in component):
        return {}
    conflicts = _with_outcome(excluded_before, CONFLICT)
    duplicates = _with_outcome(excluded_before, DUPLICATE)
    if conflicts:
        first = best(conflicts)
        second = [one for one in conflicts if one.identity != first.identity]
        named = (first, best(second) if second else None)
        return {one.row_id: _repeated_conflict(one, *named) for one in component}
    if not duplicates:
        return {}
    duplicate = best(duplicates)
    assert duplicate.earlier_verdict is not None
    kept = duplicate.earlier_verdict.duplicate_of
    return {
        one.row_id: Verdict(DUPLICATE, match_reason(one, duplicate), kept)
        if None in (one.identity, duplicate.identity) or one.identity == duplicate.identity
        else Verdict(CONFLICT, _conflict_reason(one, duplicate), kept)
        for one in component
    }


def _with_outcome(excluded_before: list[Member], outcome: str) -> list[Member]:
    return [
        one
        for one in excluded_before
        if one.earlier_verdict and one.earlier_verdict.outcome == outcome
    ]


def _repeated_conflict(one: Member, first: Member, second: Member | None) -> Verdict:
    other = second if one.identity == first.identity else first
    if other is not None:
        return _conflict(one, other)
    # The component has no image of the other identity, since that one was only a near duplicate.
    # The earlier verdict names it.
    assert first.earlier_verdict is not None
    return first.earlier_verdict


def _superseded(excluded_before: list[Member], component: list[Member]) -> dict[int, Verdict]:
    """Makes dropped images of the base duplicates of new copies, so that each pair counts once."""
    found = {}
    for one in _with_outcome(excluded_before, DROPPED):
        same = [other for other in component if other.identity == one.identity]
        if same:
            found[one.row_id] = _duplicate(one, best(same))
    return found


def _majority(counts: Counter[str | None]) -> str | None:
    (first, most), (_, second) = counts.most_common(2)
    return first if most > second else None


def _duplicate(one: Member, kept: Member) -> Verdict:
    reason = match_reason(one, kept)
    return Verdict(
        DUPLICATE, reason, kept.image_id, contradictions(one.attributes, kept.attributes)
    )


def contradictions(
    first: tuple[tuple[str, str], ...], second: tuple[tuple[str, str], ...]
) -> tuple[str, ...]:
    """Names, in order, of the attributes of which two images have different values.

    A value that is absent or empty contradicts nothing, and "25.0" is 25.
    """
    values = dict(second)
    return tuple(
        sorted(
            name
            for name, value in first
            if (other := values.get(name, "").strip()) and value.strip() and not _same(value, other)
        )
    )


def _same(value: str, other: str) -> bool:
    if value.strip().casefold() == other.casefold():
        return True
    try:
        return float(value) == float(other)
    except ValueError:
        return False


def _conflict(one: Member, other: Member) -> Verdict:
    return Verdict(CONFLICT, _conflict_reason(one, other), other.image_id)


def _leak(one: Member, other: Member) -> Verdict:
    same = match_reason(one, other)
    return Verdict(DROPPED, Reason(_LEAKS[same], f"{same} in the held-out set"), other.image_id)


def _conflict_reason(one: Member, other: Member) -> Reason:
    same = match_reason(one, other)
    return same.with_text(f"{same} under identity {other.identity}")


def match_reason(one: Member, other: Member) -> Reason:
    """EXACT for two images with equal pixels, otherwise NEAR."""
    return EXACT if one.pixel_sha256 == other.pixel_sha256 else NEAR

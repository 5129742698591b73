"""From a group of pictures that are the same to one verdict for each of them."""

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
    """What a verdict needs to know of a picture.

    Attributes:
        row_id: see `transforms.core.row_ids`.
        image_id: its key.
        identity: whose face it is, or None where the source does not say.
        pixel_sha256: tells exact from near duplicates.
        area: width times height.
        sharpness: see `transforms.images.quality.Quality`.
        aside: of a picture that its dataset set aside, or could not use: what became of it. Only
            equal pixels are found of these.
    """

    row_id: int
    image_id: str
    identity: str | None
    pixel_sha256: str
    area: int
    sharpness: float
    aside: "Verdict | None" = None

    @property
    def origin(self) -> int:
        """NEW, BASE or HELD_OUT, see `transforms.core.row_ids`."""
        return origin_of(self.row_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a picture is set aside.

    Attributes:
        outcome: `duplicate`, `conflict` or `dropped`.
        reason: one phrase, and its code.
        duplicate_of: image_id of the picture that is kept, or of the one under another identity.
            Of a picture that a dataset dropped it can be "".
    """

    outcome: str
    reason: Reason
    duplicate_of: str

    @property
    def is_leak(self) -> bool:
        """Whether a held-out set has the picture."""
        return self.outcome == DROPPED and self.reason.code in HELD_OUT_IMAGE


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A verdict on its way to the index.

    Attributes:
        row_id: of the picture.
        identity: key of its identity, by which the selection groups, or 0.
        order: keyed hash of its image_id.
        verdict: see `Verdict`.
    """

    row_id: int
    identity: int
    order: int
    verdict: Verdict


def best(members: Iterable[Member]) -> Member:
    """The representative: one with an identity, largest, then sharpest, then first by image_id.

    A picture that a dataset holds already stays the representative, whatever else arrives.
    """
    return min(members, key=_rank)


def _rank(one: Member) -> tuple:
    nobody = one.identity is None
    return one.origin != BASE, nobody, -one.area, -one.sharpness, one.image_id


def verdicts(component: list[Member], policy: str = DROP) -> dict[int, Verdict]:
    """What becomes of the new pictures of one component, by place.

    - A held-out picture among them: all are dropped, since whoever trained on one would have seen
      the other. So are those that a dataset holds already: it is for the run to refuse that.
    - A picture among them that a dataset set aside, and none that it holds: see `_again`.
    - One identity: all but the best are duplicates of it. A picture without an identity is a
      duplicate of the same picture with one, unless a dataset holds it already.
    - Several identities: the label of each is in doubt. All are conflicts, and each names the best
      picture under another identity; under KEEP_MAJORITY the identity with the most pictures keeps
      its best one, if no other has as many. What a dataset holds already is never taken from it.

    Args:
        component: pictures that are the same, in any order.
        policy: one of `transforms.duplicates.choices.POLICIES`.
    """
    held = [one for one in component if one.origin == HELD_OUT]
    if held:
        other = best(held)
        ours = (one for one in component if one.origin != HELD_OUT and one.aside is None)
        return {one.row_id: _leak(one, other) for one in ours}
    aside = [one for one in component if one.aside is not None]
    if aside:
        component = [one for one in component if one.aside is None]
        if not component:
            return {}
        return _superseded(aside, component) | (
            _again(aside, component) or verdicts(component, policy)
        )
    new = [one for one in component if one.origin == NEW]
    labeled = [one for one in component if one.identity is not None]
    counts = Counter(one.identity for one in labeled)
    if len(counts) <= 1:
        kept = best(component)
        return {one.row_id: _duplicate(one, kept) for one in new if one.row_id != kept.row_id}
    old = [one for one in labeled if one.origin == BASE]
    winner = best(old).identity if old else _majority(counts) if policy == KEEP_MAJORITY else None
    if winner is None:
        # Looked for once and not for each: a placeholder picture has a hundred thousand names.
        first = best(labeled)
        second = best(one for one in labeled if one.identity != first.identity)
        return {
            one.row_id: _conflict(one, second if one.identity == first.identity else first)
            for one in new
        }
    named = best(one for one in labeled if one.identity == winner)
    # A dataset may hold the picture as nobody's, and does not get it a second time.
    kept = best(one for one in component if one.identity in (winner, None))
    return {
        one.row_id: _duplicate(one, kept)
        if one.identity in (winner, None)
        else _conflict(one, named)
        for one in new
        if one.row_id != kept.row_id
    }


def _again(aside: list[Member], component: list[Member]) -> dict[int, Verdict]:
    """What a dataset's verdicts say of new pictures, or nothing where it holds the picture.

    A new picture that equals a conflict is one too, whatever the policy: the label is as much in
    doubt as before. One that equals a duplicate is a duplicate of what that names, and under
    another identity a conflict with it.

    Args:
        aside: of the component, what the dataset set aside.
        component: all others.
    """
    if any(one.origin == BASE for one in component):
        return {}
    conflicts = [one for one in aside if one.aside and one.aside.outcome == CONFLICT]
    copies = [one for one in aside if one.aside and one.aside.outcome == DUPLICATE]
    if conflicts:
        first = best(conflicts)
        second = [one for one in conflicts if one.identity != first.identity]
        named = (first, best(second) if second else None)
        return {one.row_id: _conflict_again(one, *named) for one in component}
    if not copies:
        return {}
    copy = best(copies)
    assert copy.aside is not None
    kept = copy.aside.duplicate_of
    return {
        one.row_id: Verdict(DUPLICATE, how(one, copy), kept)
        if None in (one.identity, copy.identity) or one.identity == copy.identity
        else Verdict(CONFLICT, _under(one, copy), kept)
        for one in component
    }


def _conflict_again(one: Member, first: Member, second: Member | None) -> Verdict:
    other = second if one.identity == first.identity else first
    if other is not None:
        return _conflict(one, other)
    # Of its own identity alone, whose other side was no more than near: that is named there.
    assert first.aside is not None
    return first.aside


def _superseded(aside: list[Member], component: list[Member]) -> dict[int, Verdict]:
    """Dropped pictures of a dataset that are here again: of each pair one counts in its class."""
    found = {}
    for one in aside:
        same = [other for other in component if other.identity == one.identity]
        if one.aside and one.aside.outcome == DROPPED and same:
            found[one.row_id] = _duplicate(one, best(same))
    return found


def _majority(counts: Counter[str | None]) -> str | None:
    (first, most), (_, second) = counts.most_common(2)
    return first if most > second else None


def _duplicate(one: Member, kept: Member) -> Verdict:
    return Verdict(DUPLICATE, how(one, kept), kept.image_id)


def _conflict(one: Member, other: Member) -> Verdict:
    return Verdict(CONFLICT, _under(one, other), other.image_id)


def _leak(one: Member, other: Member) -> Verdict:
    same = how(one, other)
    return Verdict(DROPPED, Reason(_LEAKS[same], f"{same} in the held-out set"), other.image_id)


def _under(one: Member, other: Member) -> Reason:
    same = how(one, other)
    return same.with_text(f"{same} under identity {other.identity}")


def how(one: Member, other: Member) -> Reason:
    """In which way two images are the same: EXACT or NEAR."""
    return EXACT if one.pixel_sha256 == other.pixel_sha256 else NEAR

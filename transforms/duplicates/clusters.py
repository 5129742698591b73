"""From pairs of same pictures to one verdict per picture."""

from collections.abc import Iterable
from dataclasses import dataclass

from transforms.rows import CONFLICT, DUPLICATE, Photo

EXACT = "same pixels"
NEAR = "near duplicate"


@dataclass(frozen=True, slots=True)
class Member:
    """What a verdict needs to know of a picture.

    Attributes:
        image_id: its key.
        identity: whose face it is.
        pixel_sha256: tells exact from near duplicates.
        area: width times height.
        sharpness: see `transforms.rows.Row`.
    """

    image_id: str
    identity: str | None
    pixel_sha256: str
    area: int
    sharpness: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a picture is set aside.

    Attributes:
        outcome: `duplicate` or `conflict`.
        reason: one phrase.
        duplicate_of: image_id of the picture that is kept, or of the one under another identity.
    """

    outcome: str
    reason: str
    duplicate_of: str


def member(photo: Photo) -> Member:
    """The member that stands for a photo."""
    row = photo.row
    return Member(
        image_id=row.image_id,
        identity=row.identity,
        pixel_sha256=row.pixel_sha256 or "",
        area=(row.width or 0) * (row.height or 0),
        sharpness=row.sharpness or 0.0,
    )


def best(members: Iterable[Member]) -> Member:
    """The representative: largest, then sharpest, then first by image_id."""
    return min(members, key=lambda one: (-one.area, -one.sharpness, one.image_id))


def connected(edges: Iterable[tuple[Member, Member]]) -> list[list[Member]]:
    """The connected components, by union-find with path halving.

    Returns:
        Components in the order of their first image_id, each sorted by image_id.
    """
    members: dict[str, Member] = {}
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for edge in edges:
        for end in edge:
            members.setdefault(end.image_id, end)
            parent.setdefault(end.image_id, end.image_id)
        first, second = sorted((root(edge[0].image_id), root(edge[1].image_id)))
        parent[second] = first
    components: dict[str, list[Member]] = {}
    for key in sorted(members):
        components.setdefault(root(key), []).append(members[key])
    return list(components.values())


def verdicts(component: list[Member]) -> dict[str, Verdict]:
    """What becomes of the pictures of one component, by image_id.

    One identity: all but the best are duplicates of it. Several: the label of each is in doubt,
    so all are conflicts, and each names the best picture under another identity.
    """
    if len({one.identity for one in component}) == 1:
        kept = best(component)
        return {
            one.image_id: Verdict(
                DUPLICATE,
                EXACT if one.pixel_sha256 == kept.pixel_sha256 else NEAR,
                kept.image_id,
            )
            for one in component
            if one.image_id != kept.image_id
        }
    result = {}
    for one in component:
        other = best(them for them in component if them.identity != one.identity)
        how = EXACT if one.pixel_sha256 == other.pixel_sha256 else NEAR
        reason = f"{how} under identity {other.identity}"
        result[one.image_id] = Verdict(CONFLICT, reason, other.image_id)
    return result

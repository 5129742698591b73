"""Groups of copies within a connected component, each member confirmed against the group's best.

A component joins what a chain of copies joins: of photos that were taken in a row each can be a
copy of the next, and the last is another photo than the first. So a component is divided into
stars: the best image is compared with all others, and takes those that are copies of it; the best
of what is left takes its copies, and so on.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from facemill.transforms.core.row_ids import HELD_OUT
from facemill.transforms.duplicates.verdicts import Member, rank

# An image is compared with so many best images, and after that stays alone, so the work grows with
# the size of a component and not with its square.
MAX_COMPARED = 8


@dataclass(frozen=True)
class Star:
    """An image and its copies.

    Attributes:
        members: the best image first.
        similarity: row id of each other member to its similarity with the best, see
            `confirm.Comparison`; 1 for equal pixels.
    """

    members: list[Member]
    similarity: dict[int, float]


def stars(
    component: Sequence[Member],
    first: AbstractSet[int],
    least: float,
    similarity: Callable[[int, list[int]], np.ndarray],
) -> list[Star]:
    """Divides a component.

    Images of a held-out set become the best of a star before all others, since what is a copy of
    any of them must go; then come those of `first`, then the order of `verdicts.best`. Images with
    equal pixels stay together.

    Args:
        component: connected by confirmed pairs, in any order.
        first: row ids of images that come before others, such as those of excluded identities.
        least: least similarity of copies.
        similarity: of an image with others, given by row ids: float64 [N].

    Returns:
        Stars of two images or more.
    """
    left: dict[str, list[Member]] = {}
    for one in sorted(component, key=lambda one: (_group(one, first), *rank(one))):
        left.setdefault(one.pixel_sha256, []).append(one)
    asked = dict.fromkeys(left, 0)
    found = []
    while left:
        pixels = next(iter(left))
        equal = left.pop(pixels)
        star = Star(equal, {one.row_id: 1.0 for one in equal[1:]})
        others = [name for name in left if asked[name] < MAX_COMPARED]
        # A component that was joined by equal pixels alone has nothing to compare.
        row_ids = [_compared_row(left[name]) for name in others]
        values = similarity(_compared_row(equal), row_ids) if others else np.empty(0)
        for name, value in zip(others, values.tolist(), strict=True):
            asked[name] += 1
            if value >= least:
                copies = left.pop(name)
                star.members.extend(copies)
                star.similarity.update((one.row_id, value) for one in copies)
        if len(star.members) > 1:
            found.append(star)
    return found


def _group(one: Member, first: AbstractSet[int]) -> int:
    if one.origin == HELD_OUT:
        return 0
    return 1 if one.row_id in first else 2


def _compared_row(equal: Sequence[Member]) -> int:
    """The image of those with equal pixels that is compared: one that its dataset did not exclude,
    since an excluded one may have no crop."""
    return next((one for one in equal if one.earlier_verdict is None), equal[0]).row_id

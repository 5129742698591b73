"""Names of people that stay what they are: given once, and kept when faces come or go."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.search.people import NOBODY

# Scoring names the faces of a photo with several `photo#0`, `photo#1`.
_FACE = re.compile(r"#\d+\Z")


def photo_of(image_id: str) -> str:
    """The photo that a face is in."""
    return _FACE.sub("", image_id)


def numbered(names: Iterable[str]) -> np.ndarray:
    """A number for each distinct name, in order of appearance: int64 [N]."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def known_people(ids: Sequence[str], before: Mapping[str, str]) -> tuple[np.ndarray, list[str]]:
    """The faces that belong to a known person for good.

    A person is known by two faces or more. A face that was alone may join another person.

    Args:
        ids: [N], image_ids.
        before: image_id to the name of its person, in an earlier clustering.

    Returns:
        (int64 [N] number of the known person, or -1; the names of the known people).
    """
    sizes: dict[str, int] = {}
    for name in before.values():
        sizes[name] = sizes.get(name, 0) + 1
    people = sorted(name for name, size in sizes.items() if size > 1)
    numbers = {name: number for number, name in enumerate(people)}
    known = [numbers.get(before.get(one, ""), NOBODY) for one in ids]
    return np.array(known, np.int64), people


def name_people(
    ids: Sequence[str], people: np.ndarray, before: Mapping[str, str] | None = None
) -> list[str]:
    """The name of each face's person: what it was before, or a new one.

    A person who was known keeps the name. One made of faces that were alone, and of new ones, has
    the first name of those. A new person's name follows from the first image_id, and so do the
    names of equal people in other runs.

    Args:
        ids: [N], image_ids.
        people: int64 [N], equal for the faces of one person; known people are apart.
        before: image_id to name in an earlier clustering.

    Returns:
        N names.
    """
    before = before or {}
    sizes: dict[str, int] = {}
    for name in before.values():
        sizes[name] = sizes.get(name, 0) + 1
    members: dict[int, list[str]] = {}
    for one, person in zip(ids, people.tolist(), strict=True):
        members.setdefault(person, []).append(one)
    names: dict[int, str] = {}
    for person, some in members.items():
        old = {before[one] for one in some if one in before}
        if old:
            names[person] = min(old, key=lambda name: (sizes[name] == 1, name))
    # A name of the earlier clustering stays with it, even if none of its faces is here.
    used = set(sizes)
    for person, some in sorted(members.items(), key=lambda item: min(item[1])):
        if person not in names:
            names[person] = _new(min(some), used)
            used.add(names[person])
    return [names[person] for person in people.tolist()]


def _new(image_id: str, used: set[str]) -> str:
    """A name that nobody has."""
    seed = 0
    while True:
        name = f"person-{keyed_hash(seed, 'person', image_id):016x}"
        if name not in used:
            return name
        seed += 1

"""Groups of people, such as by age or skin tone, from a table of images or identities."""

import csv
from dataclasses import dataclass, field

from facemill.model.protocols.lfw import Pair
from facemill.model.protocols.pair_lists import identity_of
from facemill.transforms.core.errors import UsageError

_DELIMITERS = ",;\t"
_KEYS = ("image_id", "identity")


@dataclass(frozen=True)
class Groups:
    """The group of images and of identities; an image's own goes before that of its identity."""

    of_image: dict[str, str] = field(default_factory=dict)
    of_identity: dict[str, str] = field(default_factory=dict)

    def of_pair(self, pair: Pair) -> str | None:
        """The group of both images; None where they differ, or one has none."""
        left, right = (self._of(image) for image in (pair.left, pair.right))
        return left if left == right else None

    def _of(self, image: str) -> str | None:
        return self.of_image.get(image) or self.of_identity.get(identity_of(image))


def parse_groups(text: str, name: str) -> Groups:
    """Reads a table with the columns `image_id` or `identity`, or both, and `group`.

    Args:
        text: of the file; the first line names the columns, divided by commas, semicolons or tabs.
        name: of the file, for messages.

    Raises:
        UsageError: a column is absent, a row is malformed, or two rows contradict each other.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    header = lines[0][1] if lines else ""
    delimiter = next((mark for mark in _DELIMITERS if mark in header), ",")
    columns = [word.strip().lower() for word in next(csv.reader([header], delimiter=delimiter), [])]
    if "group" not in columns or not set(_KEYS) & set(columns):
        raise UsageError(
            f"{name} must begin with the names of its columns, group and image_id or identity "
            f"among them, got {header[:80]!r}; add them."
        )
    found = Groups()
    for number, line in lines[1:]:
        words = [word.strip() for word in next(csv.reader([line], delimiter=delimiter))]
        cells = dict(zip(columns, words, strict=False))
        key = next((one for one in _KEYS if cells.get(one)), None)
        group = cells.get("group")
        if key is None or not group:
            raise UsageError(
                f"{name}, line {number} must have an image_id or identity, and a group, got "
                f"{line.strip()[:80]!r}; correct the file."
            )
        groups = found.of_image if key == "image_id" else found.of_identity
        if groups.setdefault(cells[key], group) != group:
            raise UsageError(
                f"{name}, line {number} must not put {cells[key]} into {group}, since an earlier "
                f"line put it into {groups[cells[key]]}; correct the file."
            )
    return found

"""Conflicts that span many identities: one picture under many names, or one background.

A conflict of two identities is a wrong label. One of many has another cause, which a person has to
look for, and all its images are set aside.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.dataset.outcomes import CONFLICT

COLUMNS = ("image_id", "identity", "outcome", "reason_code", "duplicate_of")

# A conflict of so many identities is wide.
MANY = 5
_NOBODY = np.uint64(0)


@dataclass(frozen=True)
class WideConflicts:
    """The conflicts of many identities, and the one of the most.

    Attributes:
        count: how many conflicts span `MANY` identities or more.
        images: of the widest one.
        identities: of the widest one.
        exact: how many of its images have the pixels of an image under another identity.
        example: image_id of one of its images.
    """

    count: int
    images: int
    identities: int
    exact: int
    example: str

    @property
    def words(self) -> str:
        """The figures, the likely cause and the way out, in two sentences."""
        if self.count == 1:
            text = (
                f"one conflict spans {self.identities:,} identities, with {self.images:,} images "
                f"({self.example} among them)"
            )
        else:
            text = (
                f"{self.count:,} conflicts span {MANY} identities or more, the widest one "
                f"{self.identities:,} with {self.images:,} images ({self.example} among them)"
            )
        if 2 * self.exact > self.images:
            return (
                f"{text}: one picture under many names, such as a placeholder? --on-conflict "
                "quarantine writes its copies apart, to look at."
            )
        return (
            f"{text}: same background, or one photo under many names? If the photos are different, "
            "a lower --copy-difference keeps them, or --align detect, which compares the faces."
        )


class ConflictWidths:
    """Collects the conflicts of an index, part by part; keeps 25 bytes and the name of each image.

    All images of a conflict name the best one, except those of its identity, which name the best
    image under another identity; so the best two name each other.
    """

    def __init__(self) -> None:
        self._hashes: list[np.ndarray] = []
        self._exact: list[np.ndarray] = []
        self._names: list[pa.ChunkedArray] = []

    def add(self, part: pa.Table) -> None:
        """Adds a part: at least COLUMNS."""
        rows = part.select(COLUMNS)
        rows = rows.filter(
            pc.and_(pc.equal(rows["outcome"], CONFLICT), pc.is_valid(rows["duplicate_of"]))
        )
        if not len(rows):
            return
        columns = ("image_id", "duplicate_of", "identity")
        self._hashes.append(np.stack([_hashes(rows[name]) for name in columns]))
        same = pc.equal(rows["reason_code"], ReasonCode.SAME_PIXELS.value)
        self._exact.append(np.asarray(pc.fill_null(same, False).to_pylist(), bool))
        self._names.append(rows["image_id"])

    def widest(self) -> WideConflicts | None:
        """The figures; None if no conflict spans `MANY` identities."""
        if not self._hashes:
            return None
        image, named, identity = np.concatenate(self._hashes, axis=1)
        order = np.argsort(image)
        found = order[np.minimum(np.searchsorted(image[order], named), len(image) - 1)]
        mutual = (image[found] == named) & (named[found] != named)
        # The two best images name each other, and the others one of them.
        other = np.where(mutual, named[found], named)
        root = np.minimum(named, other)
        # A named image that is no conflict itself was kept, under an identity of its own.
        is_kept = ~np.isin(named, image)
        pairs = np.unique(np.stack([root, identity], axis=1)[identity != _NOBODY], axis=0)
        roots, widths = np.unique(pairs[:, 0], return_counts=True)
        widths = widths + np.isin(roots, root[is_kept])
        wide = widths >= MANY
        if not wide.any():
            return None
        all_roots, images = np.unique(root, return_counts=True)
        sizes = images[np.searchsorted(all_roots, roots[wide])]
        # The one of the most identities, then of the most images, then by hash.
        best = np.lexsort((roots[wide], -sizes, -widths[wide]))[0]
        mine = root == roots[wide][best]
        names = pa.chunked_array([chunk for one in self._names for chunk in one.chunks])
        return WideConflicts(
            count=int(wide.sum()),
            images=int(sizes[best]),
            identities=int(widths[wide][best]),
            exact=int(np.concatenate(self._exact)[mine].sum()),
            example=pc.min(names.filter(pa.array(mine))).as_py(),
        )


def _hashes(names: pa.ChunkedArray) -> np.ndarray:
    """uint64 [N]; 0 for an absent name."""
    hashes = (0 if name is None else keyed_hash(0, "conflicts", name) for name in names.to_pylist())
    return np.fromiter(hashes, np.uint64, len(names))

"""The groups of copies that the report of an ingest run shows: the most doubtful ones.

The more two images of a group differ, the more doubtful is it that they are one photo. The index
has the similarity of each image with the best of its group.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset.outcomes import DROPPED, KEPT

# Groups of an outcome that the page shows, images of each, and names of identities.
CLUSTERS = 24
MEMBERS = 8
_NAMES = 8

# The order of groups: lowest similarity, lowest name of that pair, named image. What was not
# compared counts as the same.
_Doubt = tuple[float, str, str]
_NOT_COMPARED = 1.0


@dataclass(frozen=True)
class Cluster:
    """Rows of the index that show the same photo.

    Attributes:
        images: how many there are.
        names: their identities in alphabetical order, `nobody` for none; of many the first.
        others: whether there are more names than these.
        rows: a few, the kept one before all others, then those of the lowest similarity: column to
            value, with the row id.
    """

    images: int
    names: Sequence[str]
    others: bool
    rows: Sequence[Mapping[str, Any]]


class MostDoubtful:
    """The named images whose clusters are the most doubtful; an image is named by `duplicate_of`.

    Each image of a cluster names one other, and a cluster has at most two named images. So the
    first 2 * CLUSTERS named images hold all of the first CLUSTERS clusters. A named image that is
    dropped here had that many before it, and what comes before can only get lower.

    Attributes:
        lowest: named image to its place in the order, by the rows so far.
    """

    def __init__(self) -> None:
        self.lowest: dict[str, _Doubt] = {}

    def add(self, rows: pa.Table) -> None:
        """Adds rows that name an image."""
        if not len(rows):
            return
        pairs = pa.table(
            {
                "similarity": pc.fill_null(rows["similarity"], _NOT_COMPARED),
                "low": pc.min_element_wise(rows["image_id"], rows["duplicate_of"]),
                "named": rows["duplicate_of"],
            }
        ).combine_chunks()
        pairs = pairs.take(
            pc.sort_indices(pairs, [(name, "ascending") for name in pairs.schema.names])
        )
        codes = pairs["named"].combine_chunks().dictionary_encode().indices.to_numpy()
        _, first = np.unique(codes, return_index=True)
        for one in pairs.take(np.sort(first)[: 2 * CLUSTERS]).to_pylist():
            named = one["named"]
            place = (one["similarity"], one["low"], named)
            self.lowest[named] = min(place, self.lowest.get(named, place))
        ranked = sorted(self.lowest.items(), key=lambda entry: entry[1])
        self.lowest = dict(ranked[: 2 * CLUSTERS])


class GroupCount:
    """Counts the groups; keeps 8 bytes for each group and for each conflict.

    All other images of a group name one, so there are as many groups as named images. The best
    images of two identities in conflict may name each other: then two images of one group are
    named.
    """

    def __init__(self) -> None:
        self._named = [np.empty(0, np.uint64)]
        self._pairs = [np.empty(0, np.uint64)]

    def add(self, rows: pa.Table, mutual: bool) -> None:
        """Adds rows that name an image; `mutual` if two images of a group may name each other."""
        if not len(rows):
            return
        named = _hashes(rows["duplicate_of"])
        self._named.append(np.unique(named))
        if mutual:
            # XOR is the same in both directions.
            self._pairs.append(named ^ _hashes(rows["image_id"]))

    @property
    def count(self) -> int:
        """How many groups there are."""
        _, times = np.unique(np.concatenate(self._pairs), return_counts=True)
        return len(np.unique(np.concatenate(self._named))) - int(np.sum(times > 1))


def _hashes(names: pa.ChunkedArray) -> np.ndarray:
    """uint64 [N]."""
    hashes = (keyed_hash(0, "groups", name) for name in names.to_pylist())
    return np.fromiter(hashes, np.uint64, len(names))


def read_clusters(
    parts: Callable[[], Iterable[pa.Table]], lowest: Mapping[str, Mapping[str, _Doubt]]
) -> dict[str, list[Cluster]]:
    """Outcome to its most doubtful clusters, in that order.

    Args:
        parts: gives the parts of the index.
        lowest: outcome to named images to their places, see `MostDoubtful`.
    """
    rows = {outcome: _RowsOfNamed(outcome) for outcome in lowest}
    wanted: dict[str, AbstractSet[str]] = {outcome: set(named) for outcome, named in lowest.items()}
    # With more conflicts than are shown, the second named image of a conflict may not be among the
    # most doubtful: its rows are collected in a second pass.
    while any(wanted.values()):
        for part in parts():
            for outcome, names in wanted.items():
                rows[outcome].add(part, names)
        wanted = {outcome: one.partners.keys() - one.collected for outcome, one in rows.items()}
    return {outcome: one.clusters(lowest[outcome]) for outcome, one in rows.items()}


class _RowsOfNamed:
    """The rows of some named images and of the images that name them.

    Attributes:
        collected: named images whose rows were collected.
        partners: image_id to the image_id that it is in conflict with, in both directions.
    """

    def __init__(self, outcome: str) -> None:
        self._outcome = outcome
        self._naming: dict[str, _Members] = {}
        self._own: dict[str, dict[str, Any]] = {}
        self._before: AbstractSet[str] = frozenset()
        self.collected: set[str] = set()
        self.partners: dict[str, str] = {}

    def add(self, part: pa.Table, names: AbstractSet[str]) -> None:
        """Adds the rows of some named images, and of the images that name them, from one part.

        The caller adds all parts with the same names before it comes with further names.
        """
        if not names <= self.collected:
            self._before = frozenset(self.collected)
            self.collected |= names
        follows = pc.and_(
            pc.equal(part["outcome"], self._outcome), _among(part["duplicate_of"], names)
        )
        # An image_id of a held-out set may be that of another image of the input.
        own = names if self._outcome != DROPPED else frozenset()
        for row in part.filter(pc.or_(follows, _among(part["image_id"], own))).to_pylist():
            name, other = row["image_id"], row["duplicate_of"]
            if name in own:
                # Else an earlier pass has added the row as one that names another image.
                if row["outcome"] != self._outcome or other not in self._before:
                    self._own[name] = row
                if row["outcome"] == self._outcome:
                    self.partners |= {name: other}
                    self.partners.setdefault(other, name)
            elif row["outcome"] == self._outcome and other in names and name not in self._own:
                self._naming.setdefault(other, _Members()).add(row)

    def clusters(self, lowest: Mapping[str, _Doubt]) -> list[Cluster]:
        """The clusters that are shown, the most doubtful first."""
        found = _joined(lowest, self.partners)
        for name, members in found.items():
            members.join(self._naming.get(name))
            if name in self._own:
                members.add(self._own[name])
        return [one.cluster() for one in dict.fromkeys(found.values())]


def _among(column: pa.ChunkedArray, names: Iterable[str]) -> pa.ChunkedArray:
    return pc.is_in(column, pa.array(list(names), pa.string()))


@dataclass(eq=False)
class _Members:
    """The part of a growing cluster that is shown."""

    images: int = 0
    names: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        self.images += 1
        names = {*self.names, row["identity"] or "nobody"}
        self.names = heapq.nsmallest(_NAMES + 1, names)
        self.rows.append(row)
        self._order()

    def _order(self) -> None:
        self.rows.sort(key=_place_in_cluster)
        del self.rows[MEMBERS:]

    def join(self, other: "_Members | None") -> None:
        """Adds the members of another cluster, none of which is in this one."""
        if other is None:
            return
        self.images += other.images
        self.names = heapq.nsmallest(_NAMES + 1, {*self.names, *other.names})
        self.rows += other.rows
        self._order()

    def cluster(self) -> Cluster:
        return Cluster(self.images, self.names[:_NAMES], len(self.names) > _NAMES, self.rows)


def _place_in_cluster(row: Mapping[str, Any]) -> tuple[int, float, str]:
    # The image that the others name comes first, also where it is dropped.
    rank = {KEPT: 0, DROPPED: 1}.get(row["outcome"], 2)
    similarity = row["similarity"]
    return rank, _NOT_COMPARED if similarity is None else similarity, row["image_id"]


def _joined(lowest: Mapping[str, _Doubt], partners: Mapping[str, str]) -> dict[str, _Members]:
    """Named images to the clusters that are shown, the most doubtful first."""
    cluster: dict[str, set[str]] = {}
    for named in lowest:
        # The best images of two identities in conflict name each other.
        both = {named, partners.get(named, named)}
        for one in tuple(both):
            both |= cluster.get(one, set())
        cluster |= dict.fromkeys(both, both)
    # An image that is named and not in `lowest` comes after all that are.
    first = {min(lowest[one] for one in both if one in lowest): both for both in cluster.values()}
    found: dict[str, _Members] = {}
    for place in sorted(first)[:CLUSTERS]:
        found |= dict.fromkeys(sorted(first[place]), _Members())
    return found

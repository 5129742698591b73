"""What the report of an ingest run shows of the index: counts, examples, groups and a sample.

The index is read one part at a time, and no more of a part is kept than the page can show, so
memory does not grow with the index. Rows are chosen by name or by hash, so the order of the parts
and of the rows in them has no effect.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms.core.keyed import keyed_hash, splitmix64
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.dataset.outcomes import CONFLICT, DROPPED, IGNORED, KEPT, REJECTED
from facemill.transforms.dataset.records import QUALITY
from facemill.transforms.shards.index import SCHEMA

# Size of the sample of kept images for the histograms; their shares are right to half a percent.
DRAWN = 65_536
# Groups that are read; the page shows some, among them those with the lowest similarities.
CLUSTERS = 96
MEMBERS = 8
EXAMPLES = 3
_NAMES = 8

# Example pictures of each number of faces.
FACES = 6

COLUMNS = (
    *("image_id", "outcome", "duplicate_of", "reason", "reason_code", "identity", "faces"),
    *QUALITY,
)
_DRAWN_COLUMNS = pa.schema(
    [("row_id", pa.uint64()), *(SCHEMA.field(name) for name in ("image_id", *QUALITY))]
)


@dataclass(frozen=True)
class Counted:
    """How many images have a reason.

    Attributes:
        outcome: `rejected`, `dropped` or `ignored`.
        reason: why.
        code: the same for programs, see `transforms.core.reasons`.
        images: how many.
        examples: image_ids of the first few.
    """

    outcome: str
    reason: str
    code: str
    images: int
    examples: Sequence[str]


@dataclass(frozen=True)
class Cluster:
    """Rows of the index that show the same photo.

    Attributes:
        images: how many there are.
        names: their identities in alphabetical order, `nobody` for none; of many the first.
        others: whether there are more names than these.
        rows: the first few, the kept one before all others: column to value, with the row id.
    """

    images: int
    names: Sequence[str]
    others: bool
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Faces:
    """How many faces a detector found in the images that it saw.

    Attributes:
        images: `none`, `one` and `several` to the number of images; empty without a detector.
        without: image_ids of the first few without a face.
        examples: `one` and `several` to row_id and image_id of a few images that are kept.
    """

    images: Mapping[str, int] = field(default_factory=dict)
    without: Sequence[str] = ()
    examples: Mapping[str, Sequence[tuple[int, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What the page needs of the index.

    Attributes:
        counted: of rejected and dropped images and ignored files, the most frequent reason first.
        kept: how many images are kept.
        drawn: `DRAWN` of them, or all if there are fewer, in the order of a hash of their row ids:
            row_id, image_id and the columns of quality.
        clusters: of each outcome that was asked for, those that come first by name.
        groups: of each outcome, how many clusters there are in all.
        faces: of the images in which a detector looked for faces.
    """

    counted: Sequence[Counted]
    kept: int
    drawn: pa.Table
    clusters: Mapping[str, Sequence[Cluster]]
    groups: Mapping[str, int]
    faces: Faces = field(default_factory=Faces)

    @property
    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The rows of all clusters."""
        for clusters in self.clusters.values():
            for cluster in clusters:
                yield from cluster.rows


class IndexSummary:
    """What the page needs of the index, summed up part by part.

    The checks of a run read each part once and add it here. Only then it is known which groups are
    shown, so the parts are read a second time for the rows of these groups.

    Args:
        outcomes: whose clusters are wanted: `duplicate`, `conflict`; `dropped` for photos that a
            held-out set has too, where `duplicate_of` is an image_id of that set.
        seed: of the sample.
    """

    def __init__(self, outcomes: Sequence[str], seed: int) -> None:
        self._reasons, self._sample, self._faces = _Reasons(), _Sample(seed), _FaceCounts()
        self._firsts = {outcome: _FirstNamed() for outcome in outcomes}
        self._totals = {outcome: _Groups() for outcome in outcomes}

    def add(self, part: pa.Table) -> None:
        """Adds the rows of a part: at least COLUMNS and `row_id`."""
        self._reasons.add(part)
        self._sample.add(part)
        self._faces.add(part)
        for outcome, first in self._firsts.items():
            naming = pc.and_(pc.equal(part["outcome"], outcome), pc.is_valid(part["duplicate_of"]))
            rows = part.filter(naming)
            first.add(rows)
            self._totals[outcome].add(rows, mutual=outcome == CONFLICT)

    def shown(self, parts: Callable[[], Iterable[pa.Table]]) -> Shown:
        """What the page shows of all parts that were added.

        Args:
            parts: gives the same parts once more.
        """
        lowest = {outcome: one.lowest for outcome, one in self._firsts.items() if one.lowest}
        clusters = _clusters(parts, lowest) if lowest else {}
        return Shown(
            self._reasons.sorted(),
            self._sample.seen,
            self._sample.rows,
            {outcome: clusters.get(outcome, []) for outcome in self._firsts},
            {outcome: groups.count for outcome, groups in self._totals.items()},
            self._faces.faces(),
        )


@dataclass
class _Reasons:
    """Counts by outcome and reason; there are few reasons, since none names a single image."""

    images: dict[tuple[str, str, str], int] = field(default_factory=dict)
    examples: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)

    def add(self, part: pa.Table) -> None:
        chosen = part.filter(pc.is_in(part["outcome"], pa.array([REJECTED, DROPPED, IGNORED])))
        named = ["outcome", "reason", "reason_code"]
        groups = chosen.select([*named, "image_id"]).group_by(named)
        for group in groups.aggregate([("image_id", "list")]).to_pylist():
            key = (group["outcome"], group["reason"], group["reason_code"])
            names = group["image_id_list"]
            self.images[key] = self.images.get(key, 0) + len(names)
            self.examples[key] = heapq.nsmallest(EXAMPLES, names + self.examples.get(key, []))

    def sorted(self) -> list[Counted]:
        found = [Counted(*key, count, self.examples[key]) for key, count in self.images.items()]
        return sorted(found, key=lambda one: (-one.images, one.outcome, one.reason))


@dataclass
class _FaceCounts:
    """Counts by the number of faces, and the images whose names come first of each."""

    images: Counter[str] = field(default_factory=Counter)
    without: list[str] = field(default_factory=list)
    examples: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def add(self, part: pa.Table) -> None:
        none = part.filter(pc.equal(part["reason_code"], ReasonCode.NO_FACE.value))["image_id"]
        self.images["none"] += len(none)
        self.without = heapq.nsmallest(EXAMPLES, [*self.without, *none.to_pylist()])
        for name, few in (
            ("one", pc.equal(part["faces"], 1)),
            ("several", pc.greater(part["faces"], 1)),
        ):
            found = part.filter(few)
            self.images[name] += len(found)
            kept = found.filter(pc.equal(found["outcome"], KEPT))
            rows = zip(kept["image_id"].to_pylist(), kept["row_id"].to_pylist(), strict=True)
            self.examples[name] = heapq.nsmallest(FACES, [*self.examples.get(name, ()), *rows])

    def faces(self) -> Faces:
        if not self.images.total():
            return Faces()
        examples = {
            name: [(row_id, image_id) for image_id, row_id in some]
            for name, some in self.examples.items()
        }
        return Faces(dict(self.images), self.without, examples)


class _Sample:
    """The kept images with the lowest hashes of their row ids, in that order."""

    def __init__(self, seed: int) -> None:
        self.seen = 0
        self.rows = _DRAWN_COLUMNS.empty_table()
        self._seed = seed
        self._hashes = np.empty(0, np.uint64)

    def add(self, part: pa.Table) -> None:
        kept = part.filter(pc.equal(part["outcome"], KEPT))
        self.seen += len(kept)
        # Row ids are numbers, and follow from the listing as the names do.
        hashes = splitmix64(kept["row_id"].to_numpy(), self._seed)
        if len(self._hashes) == DRAWN:
            low = hashes < self._hashes[-1]
            kept, hashes = kept.filter(pa.array(low)), hashes[low]
        if not len(hashes):
            return
        both = np.concatenate([self._hashes, hashes])
        order = np.argsort(both)[:DRAWN]
        rows = pa.concat_tables([self.rows, kept.select(_DRAWN_COLUMNS.names)])
        self.rows, self._hashes = rows.take(order).combine_chunks(), both[order]


class _FirstNamed:
    """The named images whose clusters come first by name; an image is named by `duplicate_of`.

    Each image of a cluster names one other, and a cluster has at most two named images. So the
    first 2 * CLUSTERS named images hold all of the first CLUSTERS clusters. A named image that is
    dropped here had that many before it, and their lowest names can only get lower.

    Attributes:
        lowest: named image to the lowest name among it and the images that name it, so far.
    """

    def __init__(self) -> None:
        self.lowest: dict[str, str] = {}

    def add(self, rows: pa.Table) -> None:
        if not len(rows):
            return
        low = pc.min_element_wise(rows["image_id"], rows["duplicate_of"])
        pairs = pa.table({"named": rows["duplicate_of"], "low": low})
        found = pairs.group_by("named").aggregate([("low", "min")])
        order = pc.sort_indices(found, [("low_min", "ascending"), ("named", "ascending")])
        for one in found.take(order[: 2 * CLUSTERS]).to_pylist():
            named, first = one["named"], one["low_min"]
            self.lowest[named] = min(first, self.lowest.get(named, first))
        ranked = sorted(self.lowest, key=lambda named: (self.lowest[named], named))
        self.lowest = {named: self.lowest[named] for named in ranked[: 2 * CLUSTERS]}


class _Groups:
    """Counts the groups; keeps 8 bytes for each group and for each conflict.

    All other images of a group name one, so there are as many groups as named images. The best
    images of two identities in conflict may name each other: then two images of one group are
    named.
    """

    def __init__(self) -> None:
        self._named = [np.empty(0, np.uint64)]
        self._pairs = [np.empty(0, np.uint64)]

    def add(self, rows: pa.Table, mutual: bool) -> None:
        if not len(rows):
            return
        named = _hashes(rows["duplicate_of"])
        self._named.append(np.unique(named))
        if mutual:
            # XOR is the same in both directions.
            self._pairs.append(named ^ _hashes(rows["image_id"]))

    @property
    def count(self) -> int:
        _, times = np.unique(np.concatenate(self._pairs), return_counts=True)
        return len(np.unique(np.concatenate(self._named))) - int(np.sum(times > 1))


def _hashes(names: pa.ChunkedArray) -> np.ndarray:
    """uint64 [N]."""
    hashes = (keyed_hash(0, "groups", name) for name in names.to_pylist())
    return np.fromiter(hashes, np.uint64, len(names))


def _clusters(
    parts: Callable[[], Iterable[pa.Table]], lowest: Mapping[str, Mapping[str, str]]
) -> dict[str, list[Cluster]]:
    """Outcome to its clusters.

    Args:
        parts: gives the parts of the index.
        lowest: outcome to named images to the lowest name of each, see `_FirstNamed`.
    """
    rows = {outcome: _RowsOfNamed(outcome) for outcome in lowest}
    wanted: dict[str, AbstractSet[str]] = {outcome: set(named) for outcome, named in lowest.items()}
    # With more conflicts than are shown, the second named image of a conflict may not be among the
    # first by name: its rows are collected in a second pass.
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

    def clusters(self, lowest: Mapping[str, str]) -> list[Cluster]:
        """The clusters that are shown, in the order of their lowest names."""
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
        # The image that the others name comes first, also where it is dropped.
        ranks = {KEPT: 0, DROPPED: 1}
        self.rows.sort(key=lambda one: (ranks.get(one["outcome"], 2), one["image_id"]))
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


def _joined(lowest: Mapping[str, str], partners: Mapping[str, str]) -> dict[str, _Members]:
    """Named images to the clusters that are shown, in the order of their lowest names."""
    cluster: dict[str, set[str]] = {}
    for named in lowest:
        # The best images of two identities in conflict name each other.
        both = {named, partners.get(named, named)}
        for one in tuple(both):
            both |= cluster.get(one, set())
        cluster |= dict.fromkeys(both, both)
    first = {min(lowest.get(one, one) for one in both): both for both in cluster.values()}
    found: dict[str, _Members] = {}
    for name in sorted(first)[:CLUSTERS]:
        found |= dict.fromkeys(sorted(first[name]), _Members())
    return found

"""What the report of an ingest run shows of the index: counts, examples, groups and a sample.

The index is read one part at a time, and no more of a part is kept than the page can show, so
memory does not grow with the index. Rows are chosen by name or by hash, so the order of the parts
and of the rows in them has no effect.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.pipelines.ingest.report_clusters import (
    Cluster,
    GroupCount,
    MostDoubtful,
    read_clusters,
)
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.dataset.outcomes import CONFLICT, DROPPED, IGNORED, KEPT, REJECTED
from facemill.transforms.dataset.records import QUALITY
from facemill.transforms.shards.index import SCHEMA

# Size of the sample of kept images for the histograms; their shares are right to half a percent.
DRAWN = 65_536
EXAMPLES = 3

# Example pictures of each number of faces.
FACES = 6

COLUMNS = (
    *("image_id", "outcome", "duplicate_of", "reason", "reason_code", "similarity", "identity"),
    "faces",
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
class Faces:
    """How many faces a detector found in the images that it saw.

    Attributes:
        images: `none`, `one` and `several` to the number of images; empty without a detector.
        without: row_id and image_id of the first few without a face.
        examples: `one` and `several` to row_id and image_id of a few images that are kept.
    """

    images: Mapping[str, int] = field(default_factory=dict)
    without: Sequence[tuple[int, str]] = ()
    examples: Mapping[str, Sequence[tuple[int, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What the page needs of the index.

    Attributes:
        counted: of rejected and dropped images and ignored files, the most frequent reason first.
        kept: how many images are kept.
        drawn: `DRAWN` of them, or all if there are fewer, in the order of a hash of their row ids:
            row_id, image_id and the columns of quality.
        clusters: of each outcome that was asked for, the most doubtful, see `report_clusters`.
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
        self._firsts = {outcome: MostDoubtful() for outcome in outcomes}
        self._totals = {outcome: GroupCount() for outcome in outcomes}

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
        clusters = read_clusters(parts, lowest) if lowest else {}
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
    without: list[tuple[str, int]] = field(default_factory=list)
    examples: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def add(self, part: pa.Table) -> None:
        none = part.filter(pc.equal(part["reason_code"], ReasonCode.NO_FACE.value))
        self.images["none"] += len(none)
        self.without = heapq.nsmallest(FACES, [*self.without, *_names_and_rows(none)])
        for name, few in (
            ("one", pc.equal(part["faces"], 1)),
            ("several", pc.greater(part["faces"], 1)),
        ):
            found = part.filter(few)
            self.images[name] += len(found)
            kept = found.filter(pc.equal(found["outcome"], KEPT))
            rows = [*self.examples.get(name, ()), *_names_and_rows(kept)]
            self.examples[name] = heapq.nsmallest(FACES, rows)

    def faces(self) -> Faces:
        if not self.images.total():
            return Faces()
        examples = {name: _rows_and_names(some) for name, some in self.examples.items()}
        return Faces(dict(self.images), _rows_and_names(self.without), examples)


def _rows_and_names(found: Sequence[tuple[str, int]]) -> list[tuple[int, str]]:
    return [(row_id, image_id) for image_id, row_id in found]


def _names_and_rows(part: pa.Table) -> Iterator[tuple[str, int]]:
    return zip(part["image_id"].to_pylist(), part["row_id"].to_pylist(), strict=True)


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

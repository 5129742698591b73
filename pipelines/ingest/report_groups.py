"""The groups of an ingest report: pictures that were found to be the same, and how alike they are.

The index does not say how alike two near duplicates are. That is measured here, by the function
that the search confirms its candidates with, for the groups that were read and no others, so that
the time does not grow with the collection.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.pipelines.common.report import images
from facemill.pipelines.common.report.markup import Markup
from facemill.pipelines.ingest.report_data import Cluster
from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset.outcomes import KEPT
from facemill.transforms.dataset.records import from_example
from facemill.transforms.duplicates import confirm
from facemill.transforms.images import crop_variants
from facemill.transforms.images.decode import decode
from facemill.transforms.scan.staging import MetadataReader, StagingReader, row_ids_of_names

# A page is for a person: more groups than these are in the index.
_FIRST = 24
_LEAST_ALIKE = 24
_ORDERS = ("in the order of their names", "near duplicates with the lowest correlation first")
_WHERE = {BASE: "in the version before", HELD_OUT: "in the held-out set"}
_SAME = "same pixels"


class Pictures:
    """The pictures that the scan left, as a page shows them.

    Args:
        folder: the staging folder.
        staging: it is read through this.
        thorough: whether mirror images and crops were looked for.
    """

    def __init__(self, folder: str, staging: StagingReader, thorough: bool) -> None:
        self.folder = folder
        self._staging = staging
        self._metadata = MetadataReader(folder, ["pixel_sha256"])
        self._variants = range(1, len(crop_variants.FRAMES)) if thorough else range(0)

    def thumbnail(self, row_id: int, caption: str, note: str, full_name: str) -> images.Thumbnail:
        """One picture with its captions, see `images.Thumbnail`."""
        pixels = decode(from_example(self._staging.record(row_id)).encoded).pixels
        return images.Thumbnail(images.encode(pixels), caption, note, full_name)

    def same_pixels(self, row_id: int, other: int) -> bool:
        """Whether two pictures are equal pixel by pixel."""
        one, two = (self._metadata.row(place)["pixel_sha256"] for place in (row_id, other))
        return one == two

    def correlations(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """Correlations of pictures after registration, see `confirm.similarity`: float64 [N].

        Args:
            pairs: row ids.
        """
        if not pairs:
            return np.empty(0)
        first, second = (self._staging.thumbnails(places) for places in zip(*pairs, strict=True))
        found = confirm.similarity(first, second, np.zeros(len(pairs), np.int64))
        # Of a mirror image or a crop: which of the two is the copy is not known.
        low = np.flatnonzero(found < confirm.MIN_CORRELATION)
        for variant in self._variants:
            for a, b in ((first, second), (second, first)):
                again = confirm.similarity(a[low], b[low], np.full(len(low), variant))
                found[low] = np.maximum(found[low], again)
            low = low[found[low] < confirm.MIN_CORRELATION]
        return found


@dataclass(frozen=True)
class _Compared:
    """A cluster whose images were compared with those that they name.

    Attributes:
        cluster: of the index.
        elsewhere: row ids of images of a reference set that it names.
        likeness: image_id to correlation; 1 where the pixels are equal, or nothing where the named
            image is not at hand.
        exact: image_ids of those that have equal pixels.
    """

    cluster: Cluster
    elsewhere: Mapping[str, int]
    likeness: Mapping[str, float]
    exact: frozenset[str]

    @property
    def lowest(self) -> float | None:
        """The lowest correlation of near duplicates, or None if the group has none."""
        near = [value for name, value in self.likeness.items() if name not in self.exact]
        return min(near, default=None)


def sheet(
    pictures: Pictures, clusters: Sequence[Cluster], total: int, origin: int, name: str
) -> list[Markup | str]:
    """Pictures of clusters, and before them those of a reference set that they are the same as.

    Args:
        pictures: of the run.
        clusters: those that were read.
        total: how many there are.
        origin: of the reference set, see `transforms.core.row_ids`.
        name: of the sheet, unique on the page.
    """
    if not clusters:
        return ["None were found."]
    compared = _compare(pictures, clusters, origin)
    low = [place for place, one in enumerate(compared) if one.lowest is not None]
    low.sort(key=lambda place: (compared[place].lowest, place))
    rank = {place: order for order, place in enumerate(low[:_LEAST_ALIKE])}
    groups = [
        _group(pictures, one, origin, rank.get(place), place < _FIRST)
        for place, one in enumerate(compared)
        if place < _FIRST or place in rank
    ]
    shown: list[Markup | str] = [_how_many(len(clusters), total, len(rank))]
    shown.append(images.sheet(groups, name, _ORDERS if low else ()))
    return shown


def plural(count: int, one: str, many: str) -> str:
    """`1 group` or `1,234 groups`."""
    return f"{count:,} {one if count == 1 else many}"


def _how_many(read: int, total: int, ranked: int) -> str:
    """How many groups there are, and which are shown."""
    told = plural(total, "group", "groups")
    if total <= _FIRST:
        return f"{told}."
    told = f"{_FIRST} of {told} are shown: the first by name"
    if ranked:
        near = plural(ranked, "group of near duplicates", "groups of near duplicates")
        told += f", or {near} with the lowest correlation"
        told += f" among the first {read:,}" * (read < total)
    return f"{told}."


def _compare(pictures: Pictures, clusters: Sequence[Cluster], origin: int) -> list[_Compared]:
    named = [_named(cluster, origin) for cluster in clusters]
    elsewhere = row_ids_of_names(pictures.folder, origin, set().union(*named))
    pairs: list[tuple[int, str, int, int]] = []
    exact: list[set[str]] = [set() for _ in clusters]
    for place, cluster in enumerate(clusters):
        own = {} if origin == HELD_OUT else {row["image_id"]: row["row_id"] for row in cluster.rows}
        for row in cluster.rows:
            other = own.get(row["duplicate_of"], elsewhere.get(row["duplicate_of"]))
            if row["duplicate_of"] is None or other is None:
                continue
            if pictures.same_pixels(row["row_id"], other):
                exact[place].add(row["image_id"])
            else:
                pairs.append((place, row["image_id"], other, row["row_id"]))
    likeness: list[dict[str, float]] = [{} for _ in clusters]
    values = pictures.correlations([(other, mine) for _, _, other, mine in pairs])
    for (place, image_id, _, _), value in zip(pairs, values.tolist(), strict=True):
        likeness[place][image_id] = value
    return [
        _Compared(
            cluster,
            {name: elsewhere[name] for name in named[place] if name in elsewhere},
            likeness[place],
            frozenset(exact[place]),
        )
        for place, cluster in enumerate(clusters)
    ]


def _named(cluster: Cluster, origin: int) -> list[str]:
    """Images that a cluster names and does not hold; a held-out set has names of its own."""
    own = () if origin == HELD_OUT else {row["image_id"] for row in cluster.rows}
    named = {row["duplicate_of"] for row in cluster.rows} - {None, *own}
    return sorted(named)


def _group(
    pictures: Pictures, one: _Compared, origin: int, rank: int | None, is_first: bool
) -> images.Group:
    cluster = one.cluster
    folder = _common_folder([row["image_id"] for row in cluster.rows])
    title = _title(cluster, folder)
    notes = []
    if cluster.images > len(cluster.rows):
        notes.append(f"{len(cluster.rows)} of {cluster.images:,} images are shown.")
    tiles = [
        pictures.thumbnail(row_id, images.short_name(name, folder), _WHERE[origin], name)
        for name, row_id in sorted(one.elsewhere.items())
    ]
    single = len(cluster.names) == 1
    for row in cluster.rows:
        name, identity = row["image_id"], row["identity"] or "nobody"
        note = _note(one, row)
        if not single and identity not in name.split("/")[:-1]:
            note = f"{identity}: {note}"
        tiles.append(pictures.thumbnail(row["row_id"], images.short_name(name, folder), note, name))
    return images.Group(title, tiles, " ".join(notes), rank, is_first)


def _common_folder(names: Sequence[str]) -> str:
    """The folder that all names lie in, or ""."""
    # All names begin like the two that are furthest apart in order.
    folders = sorted(name.split("/")[:-1] for name in names)
    parts = itertools.takewhile(
        lambda pair: pair[0] == pair[1], zip(folders[0], folders[-1], strict=False)
    )
    return "/".join(part for part, _ in parts)


def _title(cluster: Cluster, folder: str) -> str:
    """Whose pictures these are, and their folder once; of several identities how many there are,
    since each caption tells whose its picture is."""
    if len(cluster.names) == 1:
        (who,) = cluster.names
        if who in folder.split("/"):
            return folder
    else:
        who = f"{'more than ' * cluster.others}{len(cluster.names)} identities"
    return f"{who}, in {folder}" if folder else who


def _note(one: _Compared, row: Mapping[str, Any]) -> str:
    """What is to be said of a picture: how alike it is to the one that it names."""
    if row["image_id"] in one.exact:
        return _SAME
    value = one.likeness.get(row["image_id"])
    if value is not None:
        return f"correlation {value:.3f}"
    return "kept" if row["outcome"] == KEPT else row["reason"]

"""The groups of duplicates and conflicts in an ingest report, with their similarities.

The index has no similarities of near duplicates. This module measures them with the function that
confirms the candidates of the search, and only for the groups that the report reads, so the time
does not grow with the collection.
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
from facemill.transforms.images.decode import decode
from facemill.transforms.scan.staging import MetadataReader, StagingReader, row_ids_of_names

# At most so many groups are shown of each order; the index has all of them.
_FIRST = 24
_LEAST_ALIKE = 24
_ORDERS = ("in the order of their names", "near duplicates with the lowest similarity first")
_WHERE = {BASE: "in the version before", HELD_OUT: "in the held-out set"}
_SAME = "same pixels"


class StagedCrops:
    """Reads the crops that the scan staged, for a page.

    Args:
        folder: the staging folder.
        staging: reader of the same folder.
        thorough: whether the run searched for mirror images and crops.
    """

    def __init__(self, folder: str, staging: StagingReader, thorough: bool) -> None:
        self.folder = folder
        self._staging = staging
        self._metadata = MetadataReader(folder, ["pixel_sha256"])
        self._thorough = thorough

    def thumbnail(self, row_id: int, caption: str, note: str, full_name: str) -> images.Thumbnail:
        """One crop with its captions, see `images.Thumbnail`."""
        pixels = decode(from_example(self._staging.record(row_id)).encoded).pixels
        return images.Thumbnail(images.encode(pixels), caption, note, full_name)

    def prefetch(self, row_ids: Sequence[int]) -> None:
        """Reads what the page will show of a store, many crops at a time."""
        self._staging.prefetch(row_ids)
        self._metadata.prefetch(row_ids)

    def same_pixels(self, row_id: int, other: int) -> bool:
        """Whether two crops are equal pixel by pixel."""
        one, two = (self._metadata.row(item)["pixel_sha256"] for item in (row_id, other))
        return one == two

    def similarities(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """Similarities of crops, see `confirm.Comparison`: float64 [N], 0 to 1.

        Args:
            pairs: row ids.
        """
        return confirm.staged_similarity(self._staging, pairs, self._thorough)


@dataclass(frozen=True)
class _Compared:
    """A cluster whose images were compared with the images that they name.

    Attributes:
        cluster: of the index.
        elsewhere: image_ids of a reference set that the cluster names, to their row ids.
        likeness: image_id of a near duplicate to its similarity; absent where the named image is
            not staged.
        exact: image_ids of the images with equal pixels.
    """

    cluster: Cluster
    elsewhere: Mapping[str, int]
    likeness: Mapping[str, float]
    exact: frozenset[str]

    @property
    def lowest(self) -> float | None:
        """The lowest similarity of near duplicates, or None if the group has none."""
        near = [value for name, value in self.likeness.items() if name not in self.exact]
        return min(near, default=None)


def sheet(
    crops: StagedCrops, clusters: Sequence[Cluster], total: int, origin: int, name: str
) -> list[Markup | str]:
    """The crops of clusters, each cluster led by its duplicates in a reference set.

    Args:
        crops: of the run.
        clusters: those that were read.
        total: how many clusters there are.
        origin: of the reference set, see `transforms.core.row_ids`.
        name: of the sheet, unique on the page.
    """
    if not clusters:
        return ["None were found."]
    compared = _compare(crops, clusters, origin)
    near = [index for index, one in enumerate(compared) if one.lowest is not None]
    near.sort(key=lambda index: (compared[index].lowest, index))
    rank = {index: order for order, index in enumerate(near[:_LEAST_ALIKE])}
    groups = [
        _group(crops, one, origin, rank.get(index), index < _FIRST)
        for index, one in enumerate(compared)
        if index < _FIRST or index in rank
    ]
    shown: list[Markup | str] = [_how_many(len(clusters), total, len(rank))]
    shown.append(images.sheet(groups, name, _ORDERS if near else ()))
    return shown


def plural(count: int, one: str, many: str) -> str:
    """`1 group` or `1,234 groups`."""
    return f"{count:,} {one if count == 1 else many}"


def _how_many(read: int, total: int, ranked: int) -> str:
    """How many groups there are, and which are shown."""
    text = plural(total, "group", "groups")
    if total <= _FIRST:
        return f"{text}."
    text = f"{_FIRST} of {text} are shown: the first by name"
    if ranked:
        near = plural(ranked, "group of near duplicates", "groups of near duplicates")
        text += f", or {near} with the lowest similarity"
        text += f" among the first {read:,}" * (read < total)
    return f"{text}."


def _compare(crops: StagedCrops, clusters: Sequence[Cluster], origin: int) -> list[_Compared]:
    named = [_named(cluster, origin) for cluster in clusters]
    elsewhere = row_ids_of_names(crops.folder, origin, set().union(*named))
    pairs: list[tuple[int, str, int, int]] = []
    exact: list[set[str]] = [set() for _ in clusters]
    for index, cluster in enumerate(clusters):
        own = {} if origin == HELD_OUT else {row["image_id"]: row["row_id"] for row in cluster.rows}
        for row in cluster.rows:
            other = own.get(row["duplicate_of"], elsewhere.get(row["duplicate_of"]))
            if row["duplicate_of"] is None or other is None:
                continue
            if crops.same_pixels(row["row_id"], other):
                exact[index].add(row["image_id"])
            else:
                pairs.append((index, row["image_id"], other, row["row_id"]))
    likeness: list[dict[str, float]] = [{} for _ in clusters]
    values = crops.similarities([(other, mine) for _, _, other, mine in pairs])
    for (index, image_id, _, _), value in zip(pairs, values.tolist(), strict=True):
        likeness[index][image_id] = value
    return [
        _Compared(
            cluster,
            {name: elsewhere[name] for name in named[index] if name in elsewhere},
            likeness[index],
            frozenset(exact[index]),
        )
        for index, cluster in enumerate(clusters)
    ]


def _named(cluster: Cluster, origin: int) -> list[str]:
    """Image_ids that a cluster names and does not hold; all of them for a held-out set."""
    own = () if origin == HELD_OUT else {row["image_id"] for row in cluster.rows}
    named = {row["duplicate_of"] for row in cluster.rows} - {None, *own}
    return sorted(named)


def _group(
    crops: StagedCrops, one: _Compared, origin: int, rank: int | None, is_first: bool
) -> images.Group:
    cluster = one.cluster
    folder = _common_folder([row["image_id"] for row in cluster.rows])
    title = _title(cluster, folder)
    notes = []
    if cluster.images > len(cluster.rows):
        notes.append(f"{len(cluster.rows)} of {cluster.images:,} images are shown.")
    tiles = [
        crops.thumbnail(row_id, images.short_name(name, folder), _WHERE[origin], name)
        for name, row_id in sorted(one.elsewhere.items())
    ]
    single = len(cluster.names) == 1
    for row in cluster.rows:
        name, identity = row["image_id"], row["identity"] or "nobody"
        note = _note(one, row)
        if not single and identity not in name.split("/")[:-1]:
            note = f"{identity}: {note}"
        tiles.append(crops.thumbnail(row["row_id"], images.short_name(name, folder), note, name))
    return images.Group(title, tiles, " ".join(notes), rank, is_first)


def _common_folder(names: Sequence[str]) -> str:
    """The folder that all names lie in, or ""."""
    # The first and the last folder in order share the shortest common beginning.
    folders = sorted(name.split("/")[:-1] for name in names)
    parts = itertools.takewhile(
        lambda pair: pair[0] == pair[1], zip(folders[0], folders[-1], strict=False)
    )
    return "/".join(part for part, _ in parts)


def _title(cluster: Cluster, folder: str) -> str:
    """The identity of the cluster and the common folder; of several identities only how many there
    are, since each caption has its own identity."""
    if len(cluster.names) == 1:
        (who,) = cluster.names
        if who in folder.split("/"):
            return folder
    else:
        who = f"{'more than ' * cluster.others}{len(cluster.names)} identities"
    return f"{who}, in {folder}" if folder else who


def _note(one: _Compared, row: Mapping[str, Any]) -> str:
    """The note below an image: its similarity to the image that it names, or its outcome."""
    if row["image_id"] in one.exact:
        return _SAME
    value = one.likeness.get(row["image_id"])
    if value is not None:
        return f"similarity {value:.2f}"
    return "kept" if row["outcome"] == KEPT else row["reason"]

"""The groups of duplicates and conflicts in an ingest report, with their similarities."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemill.pipelines.common.report import images
from facemill.pipelines.common.report.markup import Markup
from facemill.pipelines.ingest.report_clusters import Cluster
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset.outcomes import KEPT
from facemill.transforms.dataset.records import from_example
from facemill.transforms.images.decode import decode
from facemill.transforms.scan.staging import StagingReader, row_ids_of_names

_ORDERS = ("the lowest similarity first", "in the order of their names")
_WHERE = {BASE: "in the version before", HELD_OUT: "in the held-out set"}
_SAME = "same pixels"
_EXACT = [
    code.value
    for code in (
        ReasonCode.SAME_PIXELS,
        ReasonCode.HELD_OUT_SAME_PIXELS,
        ReasonCode.EXCLUDED_SAME_PIXELS,
    )
]


class StagedCrops:
    """Reads the crops that the scan staged, for a page.

    Args:
        folder: the staging folder.
        staging: reader of the same folder.
    """

    def __init__(self, folder: str, staging: StagingReader) -> None:
        self.folder = folder
        self._staging = staging

    def thumbnail(self, row_id: int, caption: str, note: str, full_name: str) -> images.Thumbnail:
        """One crop with its captions, see `images.Thumbnail`."""
        pixels = decode(from_example(self._staging.record(row_id)).encoded).pixels
        return images.Thumbnail(images.encode(pixels), caption, note, full_name)

    def previews(self, photos: Sequence[tuple[int, str]]) -> list[images.Thumbnail]:
        """Small grey pictures of photos that were not cropped, of those that were staged.

        Args:
            photos: row_id and image_id of each.
        """
        if not photos:
            return []
        small = self._staging.thumbnails(row_id for row_id, _ in photos)
        return [
            images.Thumbnail(
                images.encode(np.repeat(pixels[:, :, None], 3, axis=2)),
                images.short_name(image_id),
                "",
                image_id,
            )
            for pixels, (_, image_id) in zip(small, photos, strict=True)
            # What an earlier version rejected was not read again.
            if pixels.any()
        ]

    def prefetch(self, row_ids: Sequence[int]) -> None:
        """Reads what the page will show of a store, many crops at a time."""
        self._staging.prefetch(row_ids)


def sheet(
    crops: StagedCrops, clusters: Sequence[Cluster], total: int, origin: int, name: str
) -> list[Markup | str]:
    """The crops of clusters, each cluster led by its duplicates in a reference set.

    Args:
        crops: of the run.
        clusters: those that are shown, the most doubtful first.
        total: how many clusters there are.
        origin: of the reference set, see `transforms.core.row_ids`.
        name: of the sheet, unique on the page.
    """
    if not clusters:
        return ["None were found."]
    near = any(_is_near(row) for cluster in clusters for row in cluster.rows)
    by_name = sorted(
        range(len(clusters)),
        key=lambda index: min(row["image_id"] for row in clusters[index].rows),
    )
    ranks = {index: rank for rank, index in enumerate(by_name)} if near else {}
    named = [_named(cluster, origin) for cluster in clusters]
    elsewhere = row_ids_of_names(crops.folder, origin, set().union(*named))
    groups = [
        _group(
            crops,
            cluster,
            {name: elsewhere[name] for name in named[index] if name in elsewhere},
            origin,
            ranks.get(index),
        )
        for index, cluster in enumerate(clusters)
    ]
    shown: list[Markup | str] = [_how_many(len(clusters), total, near)]
    shown.append(images.sheet(groups, name, _ORDERS if near else ()))
    return shown


def plural(count: int, one: str, many: str) -> str:
    """`1 group` or `1,234 groups`."""
    return f"{count:,} {one if count == 1 else many}"


def _how_many(shown: int, total: int, near: bool) -> str:
    """How many groups there are, and which are shown."""
    text = plural(total, "group", "groups")
    if total <= shown:
        return f"{text}."
    which = "those with the lowest similarity" if near else "the first by name"
    return f"{shown} of {text} are shown: {which}."


def _is_near(row: Mapping[str, Any]) -> bool:
    """Whether the index has the similarity of an image to another that is not equal."""
    return row["similarity"] is not None and row["reason_code"] not in _EXACT


def _named(cluster: Cluster, origin: int) -> list[str]:
    """Image_ids that a cluster names and does not hold; all of them for a held-out set."""
    own = () if origin == HELD_OUT else {row["image_id"] for row in cluster.rows}
    named = {row["duplicate_of"] for row in cluster.rows} - {None, *own}
    return sorted(named)


def _group(
    crops: StagedCrops,
    cluster: Cluster,
    elsewhere: Mapping[str, int],
    origin: int,
    rank: int | None,
) -> images.Group:
    """One group.

    Args:
        crops: of the run.
        cluster: of the index.
        elsewhere: image_ids of a reference set that the cluster names, to their row ids.
        origin: of that set.
        rank: in the order by name; None without a choice of orders.
    """
    folder = _common_folder([row["image_id"] for row in cluster.rows])
    title = _title(cluster, folder)
    notes = []
    if cluster.images > len(cluster.rows):
        notes.append(f"{len(cluster.rows)} of {cluster.images:,} images are shown.")
    tiles = [
        crops.thumbnail(row_id, images.short_name(name, folder), _WHERE[origin], name)
        for name, row_id in sorted(elsewhere.items())
    ]
    single = len(cluster.names) == 1
    for row in cluster.rows:
        name, identity = row["image_id"], row["identity"] or "nobody"
        note = _note(row)
        if not single and identity not in name.split("/")[:-1]:
            note = f"{identity}: {note}"
        tiles.append(crops.thumbnail(row["row_id"], images.short_name(name, folder), note, name))
    return images.Group(title, tiles, " ".join(notes), rank)


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


def _note(row: Mapping[str, Any]) -> str:
    """The note below an image: its similarity with the best of its group, or its outcome."""
    if row["outcome"] == KEPT:
        return "kept"
    if row["reason_code"] in _EXACT:
        return _SAME
    if row["similarity"] is not None:
        return f"similarity {row['similarity']:.2f}"
    return row["reason"]

"""The report of an ingest run: what came in, what stayed, and pictures to check it by."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.options.ingest import IngestOptions
from transforms import storage
from transforms.artifact import Work
from transforms.decode import DecodeError, decode
from transforms.keyed import keyed_hash
from transforms.report import charts, figures, images, page, tables
from transforms.rows import CONFLICT, DROPPED, DUPLICATE, KEPT, REJECTED
from transforms.splits import SPLITS
from transforms.standardize import center_square

# A page is for a person: more groups than these are in the index.
_CLUSTERS = 24
_MEMBERS = 8
_SAMPLES = 24
_REASONS = 20
_COLUMNS = ["image_id", "identity", "outcome", "reason", "duplicate_of", "split"]


def render(work: Work, root: str, counts: dict[str, int], options: IngestOptions) -> str:
    """The page, the same for the same index and images.

    Args:
        work: the run; its index parts are read.
        root: the input directory, for the pictures shown.
        counts: `listed` and each outcome.
        options: of the run.
    """
    index = pq.read_table(os.path.join(work.scratch, "index"), columns=_COLUMNS)
    index = index.sort_by("image_id")
    sections = [
        page.Section("Outcomes", [_cards(counts), _outcomes(counts)]),
        page.Section("Images of an identity", [_balance(index)]),
        page.Section("Splits", [_splits(index)]),
        page.Section(
            "Conflicts",
            _sheet(root, _groups(index, CONFLICT)),
            "The same picture under two identities: all of them are set aside.",
        ),
        page.Section(
            "Duplicates",
            _sheet(root, _groups(index, DUPLICATE)),
            "The first of each group is kept.",
        ),
        page.Section("Rejected and dropped", [_reasons(index)]),
        page.Section("Samples", _samples(root, index, options)),
    ]
    return page.render("Ingest", sections, f"{counts['listed']:,} images listed")


def _cards(counts: dict[str, int]) -> page.Markup:
    return figures.cards([figures.Card(name, count) for name, count in counts.items()])


def _outcomes(counts: dict[str, int]) -> page.Markup:
    names = [name for name in counts if name != "listed"]
    values = [counts[name] for name in names]
    told = ", ".join(f"{counts[name]} {name}" for name in names)
    return charts.bars("Images by outcome", names, values, alt=told)


def _balance(index: pa.Table) -> page.Markup:
    before = _per_identity(index)
    after = _per_identity(index.filter(pc.equal(index["outcome"], KEPT)))
    return charts.count_histogram(
        "Identities by number of images",
        "images of an identity",
        "identities",
        [charts.Sample("before", before), charts.Sample("after", after)],
        alt=f"{len(before)} identities before, {len(after)} after.",
    )


def _per_identity(index: pa.Table) -> list[int]:
    counted = Counter(index["identity"].to_pylist())
    return sorted(count for identity, count in counted.items() if identity is not None)


def _splits(index: pa.Table) -> page.Markup:
    kept = index.filter(pc.equal(index["outcome"], KEPT))
    rows: list[list[str | int]] = []
    for split in SPLITS:
        identities = kept.filter(pc.equal(kept["split"], split))["identity"]
        rows.append([split, len(identities.unique()), len(identities)])
    return tables.table(
        ["split", tables.Column("identities", True), tables.Column("images", True)], rows
    )


def _reasons(index: pa.Table) -> page.Markup | str:
    chosen = index.filter(pc.is_in(index["outcome"], pa.array([REJECTED, DROPPED])))
    counted = Counter(zip(chosen["outcome"].to_pylist(), chosen["reason"].to_pylist(), strict=True))
    if not counted:
        return "No image was rejected or dropped."
    first: dict[tuple[str, str], str] = {}
    for row in chosen.to_pylist():
        first.setdefault((row["outcome"], row["reason"]), row["image_id"])
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_REASONS]
    rows = [[*key, count, first[key]] for key, count in ordered]
    return tables.table(
        ["outcome", "reason", tables.Column("images", True), "for example"],
        rows,
        caption=f"The {len(rows)} most frequent of {len(counted)} reasons",
    )


def _groups(index: pa.Table, outcome: str) -> list[list[dict]]:
    """Groups of rows that are the same picture; the kept or named one comes first."""
    rows = index.filter(pc.equal(index["outcome"], outcome)).to_pylist()
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for row in rows:
        parent[root(row["image_id"])] = root(row["duplicate_of"])
    members: dict[str, set[str]] = {}
    for key in list(parent):
        members.setdefault(root(key), set()).add(key)
    wanted = sorted(sorted(group) for group in members.values())[:_CLUSTERS]
    keys = [key for group in wanted for key in group]
    by_id = {
        row["image_id"]: row
        for row in index.filter(
            pc.is_in(index["image_id"], pa.array(keys, pa.string()))
        ).to_pylist()
    }
    return [
        sorted((by_id[key] for key in group), key=lambda row: row["outcome"] != KEPT)
        for group in wanted
    ]


def _sheet(root: str, groups: Sequence[Sequence[dict]]) -> list[page.Markup | str]:
    if not groups:
        return ["None were found."]
    shown = []
    for group in groups:
        title = " and ".join(sorted({row["identity"] for row in group}))
        note = f"{len(group)} images" if len(group) > _MEMBERS else ""
        thumbnails = [
            thumb for row in group[:_MEMBERS] for thumb in _thumbnails(root, row, row["reason"])
        ]
        shown.append(images.Group(title, thumbnails, note))
    return [images.sheet(shown)]


def _samples(root: str, index: pa.Table, options: IngestOptions) -> list[page.Markup | str]:
    """A few kept images, drawn by keyed hash, as a network will see them."""
    kept = index.filter(pc.equal(index["outcome"], KEPT))
    drawn = sorted(
        kept["image_id"].to_pylist(), key=lambda key: keyed_hash(options.seed, "sample", key)
    )[:_SAMPLES]
    thumbnails = [
        thumb for key in drawn for thumb in _thumbnails(root, {"image_id": key}, "", options)
    ]
    return [images.sheet([images.Group("", thumbnails)])]


def _thumbnails(
    root: str, row: dict, note: str, options: IngestOptions | None = None
) -> Iterable[images.Thumbnail]:
    """The picture of a row, if the file is still what it was when it was read."""
    path = os.path.join(root, *row["image_id"].split("/"))
    try:
        pixels = decode(storage.read_bytes(path)).pixels
    except (OSError, DecodeError):
        return
    if options is not None:
        pixels = center_square(pixels, options.image_size, options.crop_fraction)
    yield images.Thumbnail(images.encode(pixels), row["image_id"], note)

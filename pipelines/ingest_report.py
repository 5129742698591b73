"""The report of an ingest run: what came in, what stayed, and pictures to check it by."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.ingest_checks import Checked
from pipelines.options.ingest import IngestOptions
from transforms.artifact import Work
from transforms.decode import decode
from transforms.duplicates.verdicts import HELD_OUT_NOTE
from transforms.index import PLACES
from transforms.keyed import mixed
from transforms.outcomes import CONFLICT, DROPPED, DUPLICATE, KEPT, REJECTED
from transforms.records import QUALITY, from_example
from transforms.report import charts, figures, images, page, tables
from transforms.scan import ScanJob
from transforms.staging import StagingReader

# A page is for a person: more groups than these are in the index.
_CLUSTERS = 24
_MEMBERS = 8
_SAMPLES = 24
_REASONS = 20
_VALUES = 40
_EXAMPLES = 3
_COLUMNS = ["image_id", "identity", "outcome", "reason", "duplicate_of", "split", *QUALITY]
_UNITS = {
    "sharpness": "variance of the Laplacian",
    "brightness": "mean of the grey picture",
    "contrast": "standard deviation of the grey picture",
}


def render(work: Work, scan: ScanJob, checked: Checked, options: IngestOptions) -> str:
    """The page, the same for the same index and images.

    Args:
        work: the run; its index parts are read.
        scan: what was read; its staging folder has the pictures.
        checked: figures of the run.
        options: of the run.
    """
    index = _read(work, "index").append_column("place", _read(work, f"index{PLACES}")["place"])
    counts = checked.counts
    with StagingReader(scan.staging) as staging:
        sections = [
            page.Section("Outcomes", [_cards(counts), _outcomes(counts)]),
            page.Section("Splits", [_splits(checked)]),
            page.Section("Balance", [_balance(checked), *_attributes(checked)]),
            page.Section("Quality", [_quality(index)]),
            page.Section(
                "Conflicts",
                _sheet(staging, _groups(index, CONFLICT)),
                "The same picture under two identities.",
            ),
            page.Section(
                "Duplicates",
                _sheet(staging, _groups(index, DUPLICATE)),
                "The first of each group is kept.",
            ),
            *_leakage(index, checked, options),
            page.Section("Rejected and dropped", [_reasons(index)]),
            page.Section(
                "Samples", _samples(staging, index, options), "As a network will see them."
            ),
        ]
    return page.render("Ingest", sections, f"{counts['listed']:,} images listed")


def _read(work: Work, name: str) -> pa.Table:
    """All parts, in the order of their names; both folders have the same rows in each."""
    folder = os.path.join(work.scratch, name)
    parts = [
        pq.read_table(
            os.path.join(folder, part),
            columns=None if name.endswith(PLACES) else _COLUMNS,
            read_dictionary=None if name.endswith(PLACES) else ["identity", "outcome", "reason"],
        )
        for part in sorted(os.listdir(folder))
    ]
    table = pa.concat_tables(parts)
    return table.unify_dictionaries()


def _cards(counts: dict[str, int]) -> page.Markup:
    return figures.cards([figures.Card(name, count) for name, count in counts.items()])


def _outcomes(counts: dict[str, int]) -> page.Markup:
    names = [name for name in counts if name != "listed"]
    values = [counts[name] for name in names]
    told = ", ".join(f"{counts[name]} {name}" for name in names)
    return charts.bars("Images by outcome", names, values, alt=told)


def _splits(checked: Checked) -> page.Markup:
    rows: list[list[str | int]] = [
        [name, split["identities"], split["records"], len(split["shards"])]
        for name, split in checked.splits.items()
    ]
    numbers = [tables.Column(name, True) for name in ("identities", "records", "shards")]
    return tables.table(["split", *numbers], rows)


def _balance(checked: Checked) -> page.Markup:
    samples = []
    for when, histogram in checked.balance["identity"].items():
        sizes = [int(size) for size in histogram]
        samples.append(charts.Sample(when, np.repeat(sizes, list(histogram.values()))))
    return charts.count_histogram(
        "Identities by number of images",
        "images before, records after, of an identity",
        "identities",
        samples,
        alt=f"{len(samples[0].values)} identities before, {len(samples[1].values)} after.",
    )


def _attributes(checked: Checked) -> list[page.Markup]:
    """A table of the attribute by which the dataset is balanced, where there is one."""
    shown = []
    for column, counts in checked.balance.items():
        if column == "identity":
            continue
        rows: list[list[str | int]] = [
            [value or "(none)", counts["before"][value], counts["after"].get(value, 0)]
            for value in counts["before"]
        ]
        rows.sort(key=lambda row: (-int(row[1]), row[0]))
        heads = [tables.Column("images before", True), tables.Column("records after", True)]
        caption = f"The {min(len(rows), _VALUES)} largest of {len(rows)} values"
        shown.append(tables.table([column, *heads], rows[:_VALUES], caption=caption))
    return shown


def _quality(index: pa.Table) -> page.Markup | str:
    kept = index.filter(pc.equal(index["outcome"], KEPT))
    shown = []
    for name in QUALITY:
        values = kept[name].to_numpy()
        told = f"Median {np.median(values):.1f}." if len(values) else "No image."
        sample = [charts.Sample("kept", values)]
        shown.append(charts.histogram(name.title(), _UNITS[name], "images", sample, told))
    return charts.beside(shown)


def _leakage(index: pa.Table, checked: Checked, options: IngestOptions) -> list[page.Section]:
    """What overlapped with a held-out set, where one was given, and what was compared at all."""
    held_out = checked.held_out
    if held_out is None:
        return []
    images = tables.Column("images", True)
    cards = [
        figures.Card("held out", held_out.listed),
        figures.Card("usable", held_out.usable),
        figures.Card("not usable", held_out.unusable),
    ]
    shown: list[page.Markup | str] = [figures.cards(cards)]
    if held_out.reasons:
        caption = "Why images of the held-out set could not be compared"
        rows: list[list[str | int]] = [list(one) for one in held_out.reasons.items()]
        shown.append(tables.table(["reason", images], rows, caption=caption))
    if options.dedup == "off":
        shown.append("With --dedup off, identities were compared, and no pictures.")
    chosen = index.filter(pc.match_substring(index["reason"].cast(pa.string()), HELD_OUT_NOTE))
    if len(chosen):
        overlap: list[list[str | int]] = [list(one[1:]) for one in _counted(chosen)]
        shown.append(tables.table(["reason", images, "for example"], overlap))
    else:
        shown.append("Nothing of the input was found in it.")
    return [page.Section("Leakage", shown, "What a held-out set has too was dropped.")]


def _reasons(index: pa.Table) -> page.Markup | str:
    chosen = index.filter(
        pc.is_in(index["outcome"].cast(pa.string()), pa.array([REJECTED, DROPPED]))
    )
    if not len(chosen):
        return "No image was rejected or dropped."
    rows = _counted(chosen)
    return tables.table(
        ["outcome", "reason", tables.Column("images", True), "for example"],
        [list(row) for row in rows[:_REASONS]],
        caption=f"The {min(len(rows), _REASONS)} most frequent of {len(rows)} reasons",
    )


def _counted(chosen: pa.Table) -> list[tuple[str, str, int, str]]:
    """(outcome, reason, images, examples), the most frequent first."""
    plain = pa.table(
        {name: chosen[name].cast(pa.string()) for name in ("outcome", "reason", "image_id")}
    )
    groups = plain.group_by(["outcome", "reason"]).aggregate([("image_id", "count")]).to_pylist()
    groups.sort(key=lambda row: (-row["image_id_count"], row["outcome"], row["reason"]))
    rows = []
    for group in groups[:_REASONS]:
        same = pc.and_(
            pc.equal(plain["outcome"], group["outcome"]), pc.equal(plain["reason"], group["reason"])
        )
        names = sorted(plain["image_id"].filter(same).to_pylist())[:_EXAMPLES]
        rows.append((group["outcome"], group["reason"], group["image_id_count"], ", ".join(names)))
    rest = groups[_REASONS:]
    return rows + [(row["outcome"], row["reason"], row["image_id_count"], "") for row in rest]


def _groups(index: pa.Table, outcome: str) -> list[list[dict[str, Any]]]:
    """Groups of rows that are the same picture; the kept or named one comes first."""
    wanted = ["image_id", "duplicate_of"]
    rows = index.filter(pc.equal(index["outcome"], outcome)).select(wanted).to_pylist()
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
    shown = sorted(sorted(group) for group in members.values())[:_CLUSTERS]
    keys = [key for group in shown for key in group]
    found = index.filter(pc.is_in(index["image_id"], pa.array(keys, pa.string()))).to_pylist()
    by_id = {row["image_id"]: row for row in found}
    return [
        sorted(
            # What a dataset held before, or a held-out set, is not of this index.
            (by_id[key] for key in group if key in by_id),
            key=lambda row: row["outcome"] != KEPT,
        )
        for group in shown
    ]


def _sheet(
    staging: StagingReader, groups: Sequence[Sequence[dict[str, Any]]]
) -> list[page.Markup | str]:
    if not groups:
        return ["None were found."]
    shown = []
    for group in groups:
        title = " and ".join(sorted({row["identity"] or "nobody" for row in group}))
        note = f"{len(group)} images" if len(group) > _MEMBERS else ""
        thumbnails = [_thumbnail(staging, row, row["reason"]) for row in group[:_MEMBERS]]
        shown.append(images.Group(title, thumbnails, note))
    return [images.sheet(shown)]


def _samples(
    staging: StagingReader, index: pa.Table, options: IngestOptions
) -> list[page.Markup | str]:
    """A few kept images, drawn by the hash of their place."""
    kept = index.filter(pc.equal(index["outcome"], KEPT)).select(["image_id", "place"])
    if not len(kept):
        return ["No image was kept."]
    # By places, which are numbers: they follow from the listing, as the names do.
    order = np.argsort(mixed(kept["place"].to_numpy(), options.seed))
    drawn = kept.take(order[:_SAMPLES]).to_pylist()
    return [images.sheet([images.Group("", [_thumbnail(staging, row, "") for row in drawn])])]


def _thumbnail(staging: StagingReader, row: dict[str, Any], note: str) -> images.Thumbnail:
    pixels = decode(from_example(staging.record(row["place"])).encoded).pixels
    return images.Thumbnail(images.encode(pixels), row["image_id"], note)

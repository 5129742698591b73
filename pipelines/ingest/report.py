"""The report of an ingest run: what came in, what stayed, and pictures to check it by."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemill.pipelines.common.report import charts, figures, images, page, tables
from facemill.pipelines.ingest import report_data
from facemill.pipelines.ingest.checks import Checked
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.report_data import Cluster, Counted, Shown
from facemill.transforms.core import reasons
from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset.artifact import Work
from facemill.transforms.dataset.outcomes import CONFLICT, DROPPED, DUPLICATE
from facemill.transforms.dataset.records import QUALITY, from_example
from facemill.transforms.images.decode import decode
from facemill.transforms.scan.scan_chunk import ScanJob
from facemill.transforms.scan.staging import StagingReader, row_ids_of_names

# A page is for a person: more than these are in the index.
_SAMPLES = 24
_REASONS = 20
_VALUES = 40
_WHERE = {BASE: "in the version before", HELD_OUT: "in the held-out set"}
_UNITS = {
    "sharpness": "variance of the Laplacian",
    "brightness": "mean of the grey picture",
    "contrast": "standard deviation of the grey picture",
}


def render(work: Work, scan: ScanJob, checked: Checked, options: IngestOptions) -> str:
    """The page, the same for the same index and images.

    Args:
        work: the run; its index parts are read, one at a time.
        scan: what was read; its staging folder has the pictures.
        checked: figures of the run.
        options: of the run.
    """
    folder = os.path.join(work.scratch, "index")
    index = report_data.read(folder, (CONFLICT, DUPLICATE, DROPPED), options.seed)
    counts = checked.counts
    added = checked.added or counts
    # What the index parts of the version before tell is in its own report.
    new = "" if checked.added is None else " Of the images that came with this version."
    whole = "" if checked.added is None else "Of all images of this version."
    with StagingReader(scan.staging) as staging:
        sections = [
            page.Section("Outcomes", [*_counts(checked), _outcomes(added)], new.strip()),
            page.Section("Splits", [_splits(checked)], whole),
            page.Section("Balance", [_balance(checked), *_attributes(checked)], whole),
            page.Section("Quality", [_quality(index)], new.strip()),
            page.Section(
                "Conflicts",
                _sheet(scan, staging, index.clusters[CONFLICT], BASE),
                f"The same picture under two identities.{new}",
            ),
            page.Section(
                "Duplicates",
                _sheet(scan, staging, index.clusters[DUPLICATE], BASE),
                f"The first of each group is kept.{new}",
            ),
            *_leakage(scan, staging, index, checked),
            page.Section("Rejected and dropped", [_reasons(index)], new.strip()),
            page.Section("Samples", _samples(staging, index), f"As a network will see them.{new}"),
        ]
    listed = f"{counts['listed']:,} images listed"
    if checked.added is not None:
        listed += f", {added['listed']:,} of them new in this version"
    return page.render("Ingest", sections, listed)


def _counts(checked: Checked) -> list[page.Markup | str]:
    """Key figures; of a new version of a dataset in two columns."""
    counts, added = checked.counts, checked.added
    if added is None:
        return [figures.cards([figures.Card(name, count) for name, count in counts.items()])]
    rows: list[list[str | int]] = [[name, counts[name], added[name]] for name in counts]
    heads = [tables.Column("this version", True), tables.Column("added now", True)]
    shown: list[page.Markup | str] = [tables.table(["images", *heads], rows)]
    if checked.passed_over:
        shown.append(
            f"{checked.passed_over:,} images of the input were passed over, since the version "
            "before has images of their names."
        )
    return shown


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


def _quality(index: Shown) -> page.Markup | str:
    drawn = len(index.drawn)
    images = "images" if index.kept == drawn else f"of {drawn:,} images that were drawn"
    shown = []
    for name in QUALITY:
        values = index.drawn[name].to_numpy()
        told = f"Median {np.median(values):.1f}." if len(values) else "No image."
        sample = [charts.Sample("kept", values)]
        shown.append(charts.histogram(name.title(), _UNITS[name], images, sample, told))
    return charts.beside(shown)


def _leakage(
    scan: ScanJob, staging: StagingReader, index: Shown, checked: Checked
) -> list[page.Section]:
    """What overlapped with a held-out set, where one was given, and what was compared at all."""
    held_out = checked.held_out
    if held_out is None:
        return []
    images = tables.Column("images", True)
    cards = [
        figures.Card("held out", held_out.listed),
        figures.Card("usable", held_out.usable),
        figures.Card("not usable", held_out.unusable),
        figures.Card("identities named", held_out.identities),
        figures.Card("dropped by identity", held_out.dropped_identity),
        figures.Card("dropped by picture", held_out.dropped_photo),
    ]
    shown: list[page.Markup | str] = [figures.cards(cards)]
    if held_out.reasons:
        caption = "Why images of the held-out set could not be compared as pictures"
        rows: list[list[str | int]] = [list(one) for one in held_out.reasons.items()]
        shown.append(tables.table(["reason", images], rows, caption=caption))
        shown.append(
            f"Of these {held_out.by_pixels:,} were compared by equal pixels, and all by identity."
        )
    chosen = [one for one in index.counted if one.code in reasons.HELD_OUT]
    if chosen:
        overlap: list[list[str | int]] = [
            [one.reason, one.images, _examples(one)] for one in chosen
        ]
        shown.append(tables.table(["reason", images, "for example"], overlap))
    else:
        shown.append("Nothing of the input was found in it.")
    if index.clusters[DROPPED]:
        shown += _sheet(scan, staging, index.clusters[DROPPED], HELD_OUT)
    return [page.Section("Leakage", shown, "What a held-out set has too was dropped.")]


def _reasons(index: Shown) -> page.Markup | str:
    if not index.counted:
        return "No image was rejected or dropped."
    rows: list[list[str | int]] = [
        [one.outcome, one.reason, one.images, _examples(one)] for one in index.counted[:_REASONS]
    ]
    return tables.table(
        ["outcome", "reason", tables.Column("images", True), "for example"],
        rows,
        caption=f"The {len(rows)} most frequent of {len(index.counted)} reasons",
    )


def _examples(counted: Counted) -> str:
    return ", ".join(counted.examples)


def _sheet(
    scan: ScanJob, staging: StagingReader, clusters: Sequence[Cluster], origin: int
) -> list[page.Markup | str]:
    """Pictures of clusters, and before them those of a known set that they are the same as."""
    if not clusters:
        return ["None were found."]
    elsewhere = row_ids_of_names(
        scan.staging, origin, {name for cluster in clusters for name in _named(cluster, origin)}
    )
    shown = []
    for cluster in clusters:
        title = " and ".join([*cluster.names, *(["others"] if cluster.others else [])])
        note = f"{cluster.images} images" if cluster.images > len(cluster.rows) else ""
        thumbnails = [
            _thumbnail(staging, {"row_id": elsewhere[name], "image_id": name}, _WHERE[origin])
            for name in _named(cluster, origin)
            if name in elsewhere
        ]
        thumbnails += [_thumbnail(staging, row, row["reason"]) for row in cluster.rows]
        shown.append(images.Group(title, thumbnails, note))
    return [images.sheet(shown)]


def _named(cluster: Cluster, origin: int) -> list[str]:
    """Images that a cluster names and does not hold; a held-out set has names of its own."""
    own = () if origin == HELD_OUT else {row["image_id"] for row in cluster.rows}
    named = {row["duplicate_of"] for row in cluster.rows} - {None, *own}
    return sorted(named)


def _samples(staging: StagingReader, index: Shown) -> list[page.Markup | str]:
    """A few kept images, drawn by the hash of their place."""
    if not len(index.drawn):
        return ["No image was kept."]
    drawn = index.drawn.slice(0, _SAMPLES).to_pylist()
    return [images.sheet([images.Group("", [_thumbnail(staging, row, "") for row in drawn])])]


def _thumbnail(staging: StagingReader, row: Mapping[str, Any], note: str) -> images.Thumbnail:
    pixels = decode(from_example(staging.record(row["row_id"])).encoded).pixels
    return images.Thumbnail(images.encode(pixels), row["image_id"], note)

"""The report of an ingest run: the input, the outcomes, and images to check them by."""

from collections.abc import Mapping, Sequence

import numpy as np

from facemill.pipelines.common.report import answer, charts, figures, images, page, tables
from facemill.pipelines.ingest import report_answer, report_groups
from facemill.pipelines.ingest.checks import Checked
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.report_data import Counted, Shown
from facemill.pipelines.ingest.report_groups import StagedCrops
from facemill.transforms.core import reasons
from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset.outcomes import CONFLICT, DROPPED, DUPLICATE
from facemill.transforms.dataset.records import QUALITY
from facemill.transforms.scan.scan_chunk import ScanJob
from facemill.transforms.scan.staging import StagingReader

SHOWN_OUTCOMES = (CONFLICT, DUPLICATE, DROPPED)

# At most so many are shown; the index has all of them.
_SAMPLES = 24
# The first screen shows one row of samples.
_STRIP = 12
_REASONS = 20
_VALUES = 40
_UNITS = {
    "sharpness": "variance of the Laplacian",
    "brightness": "mean of the grey crop",
    "contrast": "standard deviation of the grey crop",
}


def render(index: Shown, scan: ScanJob, checked: Checked, options: IngestOptions) -> str:
    """The page, the same for the same index and images.

    Args:
        index: what is shown of the index.
        scan: of the run; its staging folder has the crops.
        checked: figures of the run.
        options: of the run.
    """
    counts = checked.counts
    added = checked.added or counts
    # The report of the version before shows what its own index parts hold.
    new = "" if checked.added is None else " Of the images that came with this version."
    of_all = "" if checked.added is None else "Of all images of this version."
    with StagingReader(scan.staging) as staging:
        crops = StagedCrops(scan.staging, staging)
        shown = index.drawn.slice(0, _SAMPLES).to_pylist()
        faces = [row_id for some in index.faces.examples.values() for row_id, _ in some]
        crops.prefetch([*(row["row_id"] for row in (*shown, *index.rows)), *faces])

        def groups(outcome: str, origin: int, name: str) -> list[page.Markup | str]:
            return report_groups.sheet(
                crops, index.clusters[outcome], index.groups[outcome], origin, name
            )

        samples = [
            crops.thumbnail(row["row_id"], images.short_name(row["image_id"]), "", row["image_id"])
            for row in shown
        ]
        leaks = groups(DROPPED, HELD_OUT, "leakage") if index.clusters[DROPPED] else []
        sections = [
            report_answer.section(checked, options, samples[:_STRIP]),
            page.Section("Outcomes", [*_counts(checked), _outcomes(added)], new.strip()),
            page.Section("Splits", [_splits(checked)], of_all),
            page.Section(
                "Balance",
                [_balance(checked), *_attributes(checked), *_groups(checked)],
                of_all,
            ),
            page.Section("Quality", [_quality(index)], new.strip()),
            *_faces(index, crops),
            page.Section(
                "Conflicts",
                groups(CONFLICT, BASE, "conflicts"),
                f"The same photo under two identities.{new}",
            ),
            page.Section(
                "Duplicates",
                groups(DUPLICATE, BASE, "duplicates"),
                "The first of each group stands for it: it is kept, unless its caption says why it "
                f"was dropped.{new}",
            ),
            page.Section("Leakage", [*_leakage(index, checked, options), *leaks]),
            page.Section("Rejected, dropped and ignored", [_reasons(index)], new.strip()),
            page.Section("Samples", _samples(samples), f"As a network will see them.{new}"),
        ]
    listed = f"{counts['listed']:,} images listed"
    if checked.added is not None:
        listed += f", {added['listed']:,} of them new in this version"
    return page.render("Ingest", sections, listed)


def _counts(checked: Checked) -> list[page.Markup | str]:
    """Key figures; for a new version of a dataset in two columns: all, and added now."""
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
    alt = ", ".join(f"{counts[name]} {name}" for name in names)
    return charts.bars("Images by outcome", names, values, alt=alt)


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


def _groups(checked: Checked) -> list[page.Markup]:
    """A table of each attribute that groups the images, where no image has an identity."""
    shown = []
    heads = [tables.Column("images", True), tables.Column("kept", True)]
    for name, values in sorted(checked.groups.listed.items()):
        kept: Mapping[str, int] = checked.groups.kept.get(name, {})
        rows: list[list[str | int]] = [[one, n, kept.get(one, 0)] for one, n in values.items()]
        rows.sort(key=lambda row: (-int(row[1]), row[0]))
        caption = f"The {min(len(rows), _VALUES)} largest of {len(rows)} values of {name}"
        shown.append(tables.table([name, *heads], rows[:_VALUES], caption=caption))
    return shown


def _faces(index: Shown, crops: StagedCrops) -> list[page.Section]:
    """How many faces the detector found, with pictures; no section where none was used."""
    faces = index.faces
    if not faces.images:
        return []
    names = list(faces.images)
    alt = ", ".join(f"{faces.images[name]} with {name}" for name in names)
    blocks: list[page.Markup | str] = [
        charts.bars("Images by faces found", names, list(faces.images.values()), alt=alt)
    ]
    if faces.without:
        more = ", ..." if faces.images["none"] > len(faces.without) else ""
        names_without = ", ".join(image_id for _, image_id in faces.without)
        blocks.append(f"Without a face: {names_without}{more}.")
    previews = crops.previews(faces.without)
    groups = [images.Group("Rejected, without a face", previews)] if previews else []
    groups += [
        images.Group(
            f"Kept, with {name} found" if name == "several" else f"Kept, with {name} face found",
            [
                crops.thumbnail(row_id, images.short_name(image_id), "", image_id)
                for row_id, image_id in some
            ],
        )
        for name, some in faces.examples.items()
        if some
    ]
    blocks += [images.sheet(groups)] if groups else []
    return [page.Section("Faces", blocks, "Of several faces, the largest central one is cropped.")]


def _quality(index: Shown) -> page.Markup | str:
    drawn = len(index.drawn)
    images = "images" if index.kept == drawn else f"of {drawn:,} images that were drawn"
    shown = []
    for name in QUALITY:
        values = index.drawn[name].to_numpy()
        alt = f"Median {np.median(values):.1f}." if len(values) else "No image."
        sample = [charts.Sample("kept", values)]
        shown.append(charts.histogram(name.title(), _UNITS[name], images, sample, alt))
    return charts.beside(shown)


def _leakage(index: Shown, checked: Checked, options: IngestOptions) -> list[page.Markup | str]:
    """What the splits share with each other, and what the input shares with a held-out set."""
    shown: list[page.Markup | str] = [
        answer.findings([*report_answer.between_splits(checked, options)])
    ]
    held_out = checked.held_out
    if held_out is None:
        return [*shown, answer.findings([report_answer.held_out(None)])]
    images = tables.Column("images", True)
    cards = [
        figures.Card("held out", held_out.listed),
        figures.Card("usable", held_out.usable),
        figures.Card("not usable", held_out.unusable),
        figures.Card("identities named", held_out.identities),
        figures.Card("dropped by identity", held_out.dropped_identity),
        figures.Card("dropped by photo", held_out.dropped_photo),
    ]
    shown.append("What a held-out set has too was dropped.")
    shown.append(figures.cards(cards))
    if differ := list(report_answer.framings(held_out)):
        shown.append(answer.findings(differ))
    if held_out.reasons:
        caption = "Why images of the held-out set could not be compared"
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
    return shown


def _reasons(index: Shown) -> page.Markup | str:
    if not index.counted:
        return "No image was rejected or dropped, and no file ignored."
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


def _samples(drawn: Sequence[images.Thumbnail]) -> list[page.Markup | str]:
    """A few kept images, drawn by the hash of their row id."""
    return [images.sheet([images.Group("", drawn)])] if drawn else ["No image was kept."]

"""The page of a matching run: how many were found, how sure, and who, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.pipelines.common.photos import Photos
from facemill.pipelines.common.report import charts, figures, images, page, tables
from facemill.transforms.dataset.parquet_parts import part_batches
from facemill.transforms.dataset.writing import Work
from facemill.transforms.search.plan import Plan
from facemill.transforms.search.write_matches import MATCH, MATCHES, NEAREST, UNMATCHED

# Probes that the page shows of each kind, and matches of each.
_SHOWN, _BESIDE = 12, 4
_ROWS = 1 << 16
# Scores from -1 to 1 are counted in so many steps.
_STEPS = 200


class _Seen:
    """What the page shows of the rows, read once and a part at a time.

    Attributes:
        most: best matches with the highest scores.
        least: best matches with the lowest scores.
        nearest: unmatched probes with the highest scores.
        counts: of best matches and of unmatched probes, how many have a score in each step.
    """

    def __init__(self) -> None:
        self.most: list[dict[str, Any]] = []
        self.least: list[dict[str, Any]] = []
        self.nearest: list[dict[str, Any]] = []
        self.counts = {MATCHES: np.zeros(_STEPS, np.int64), UNMATCHED: np.zeros(_STEPS, np.int64)}

    def add(self, table: pa.Table, folder: str) -> None:
        """Takes rows of `matches/`, the first of each probe, or of `unmatched/`."""
        scores = table["score"].to_numpy()
        steps = np.clip((scores[np.isfinite(scores)] + 1) / 2 * _STEPS, 0, _STEPS - 1)
        self.counts[folder] += np.bincount(steps.astype(np.int64), minlength=_STEPS)
        if folder == UNMATCHED:
            self.nearest = _first([*self.nearest, *_extremes(table, "descending")], -1)
        else:
            self.most = _first([*self.most, *_extremes(table, "descending")], -1)
            self.least = _first([*self.least, *_extremes(table, "ascending")], 1)


def render(
    work: Work, plan: Plan, counts: Mapping[str, int], files: Sequence[Mapping[str, Any]]
) -> str:
    """The HTML page.

    Args:
        work: the run, whose parts are read.
        plan: of the search.
        counts: of the run.
        files: the entries of the parts.
    """
    seen, beside = _read(work, files)
    shown = [*seen.most, *seen.least, *seen.nearest]
    probe_faces = Photos(plan.probes).faces(row["probe_id"] for row in shown)
    others = {row["gallery_id"] for row in shown if row["gallery_id"] is not None}
    others |= {row["gallery_id"] for rows in beside.values() for row in rows}
    faces = (probe_faces, Photos(plan.gallery).faces(others))
    sections = [
        page.Section("Result", [figures.cards(_cards(plan, counts))], _note(plan)),
        page.Section("Scores", [_histogram(seen)]),
    ]
    for title, rows, note in (
        ("Surest matches", seen.most, "The probes whose best match has the highest scores."),
        (
            "Least sure matches",
            seen.least,
            "The probes whose best match has the lowest scores of those that count: look here for "
            "a threshold that is too low.",
        ),
        (
            "Nobody",
            seen.nearest,
            "Probes that match nobody, with their nearest neighbor: look here for a threshold that "
            "is too high.",
        ),
    ):
        if rows:
            sections.append(page.Section(title, [_side_by_side(rows, beside, faces)], note))
    return page.render("Matches", sections, f"model {plan.probes.model_id[:12]}")


def _read(
    work: Work, files: Sequence[Mapping[str, Any]]
) -> tuple[_Seen, dict[str, list[dict[str, Any]]]]:
    """What is shown, and the first matches of each shown probe."""
    seen = _Seen()
    for entry in files:
        folder = entry["path"].split("/")[0]
        schema = MATCH if folder == MATCHES else NEAREST
        for batch in part_batches(work.files.path(entry["path"]), schema.names, _ROWS):
            table = pa.Table.from_batches([batch])
            if folder == MATCHES:
                table = table.filter(pa.array(table["rank"].to_numpy() == 1))
            seen.add(table, folder)
    wanted = {row["probe_id"] for row in (*seen.most, *seen.least)}
    beside: dict[str, list[dict[str, Any]]] = {name: [] for name in wanted}
    names = pa.array(sorted(wanted), pa.string())
    for entry in files:
        if entry["path"].startswith(MATCHES):
            for batch in part_batches(work.files.path(entry["path"]), MATCH.names, _ROWS):
                table = pa.Table.from_batches([batch])
                chosen = pc.is_in(table["probe_id"], value_set=names)
                for row in table.filter(chosen).to_pylist():
                    if row["rank"] <= _BESIDE:
                        beside[row["probe_id"]].append(row)
    return seen, beside


def _extremes(table: pa.Table, order: str) -> list[dict[str, Any]]:
    keys = [("score", order), ("probe_id", "ascending")]
    rows = table.filter(table["score"].is_valid()).sort_by(keys).slice(0, _SHOWN)
    return rows.to_pylist()


def _first(rows: list[dict[str, Any]], sign: int) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (sign * row["score"], row["probe_id"]))[:_SHOWN]


def _cards(plan: Plan, counts: Mapping[str, int]) -> list[figures.Card]:
    cards = [
        figures.Card("Probes", counts["probes"]),
        figures.Card("Gallery", counts["gallery"]),
        figures.Card("Matched", counts["matched"], f"{counts['pairs']:,} pairs"),
        figures.Card("Nobody", counts["unmatched"]),
    ]
    if counts["named"]:
        share = f"{counts['right'] / counts['named']:.2%}"
        cards.append(
            figures.Card(
                "Best match is right", share, f"of {counts['named']:,} with a known identity"
            )
        )
    return cards


def _note(plan: Plan) -> str:
    if plan.threshold is None:
        return "Without a threshold, everyone has a match."
    return f"A match has a cosine similarity of {plan.threshold:.4f} or more."


def _histogram(seen: _Seen) -> charts.Markup:
    """Scores of the best matches and of those who match nobody."""
    middles = (np.arange(_STEPS) + 0.5) * 2 / _STEPS - 1
    samples = [
        charts.Sample(label, np.repeat(middles, _scaled(seen.counts[folder])))
        for label, folder in (("best match", MATCHES), ("nobody", UNMATCHED))
        if seen.counts[folder].any()
    ]
    if not samples:
        return tables.table(["score"], [])
    return charts.histogram(
        "Nearest neighbors",
        "cosine similarity",
        "share of the probes",
        samples,
        "Distribution of the score of each probe's nearest neighbor.",
        share=True,
    )


def _scaled(counts: np.ndarray) -> np.ndarray:
    """The counts, at most some ten thousand in all, which a chart of shares needs no more of."""
    total = counts.sum()
    return counts if total <= 10_000 else np.ceil(counts * (10_000 / total)).astype(np.int64)


def _side_by_side(
    rows: Sequence[Mapping[str, Any]],
    beside: Mapping[str, Sequence[Mapping[str, Any]]],
    faces: tuple[Mapping[str, bytes], Mapping[str, bytes]],
) -> charts.Markup:
    """Each probe with the faces that it matches; a table of names without pictures."""
    matches = {row["probe_id"]: beside.get(row["probe_id"]) or [row] for row in rows}
    if not any(row["probe_id"] in faces[0] for row in rows):
        cells: list[Sequence[tables.Cell]] = [
            (name, other["gallery_id"], f"{other['score']:.4f}")
            for name, others in matches.items()
            for other in others
        ]
        return tables.table(["probe", "gallery", tables.Column("score", True)], cells)
    groups = []
    for row in rows:
        name = row["probe_id"]
        tiles = []
        if name in faces[0]:
            tiles.append(images.Thumbnail(faces[0][name], images.short_name(name), "probe", name))
        notes = []
        for other in matches[name]:
            there, score = other["gallery_id"], f"{other['score']:.3f}"
            if there in faces[1]:
                caption = images.short_name(there)
                tiles.append(images.Thumbnail(faces[1][there], caption, score, there))
            else:
                notes.append(f"{there} {score}")
        groups.append(images.Group(name, tiles, "; ".join(notes)))
    return images.sheet(groups)

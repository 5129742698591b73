"""The pages of identifications: rates, curves, and the searches that went wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemill.model.metrics import verification
from facemill.model.metrics.identification import NOBODY, Search
from facemill.pipelines.common.report import charts, figures, page, tables
from facemill.pipelines.evaluate import pictures
from facemill.pipelines.evaluate.evaluated import Given
from facemill.pipelines.evaluate.gallery import Sides
from facemill.pipelines.evaluate.report import failures_text, percent, warnings
from facemill.pipelines.evaluate.report_rates import thinned

_SHOWN = 12
_TITLES = ("probe", "found instead", "its own image")


def worst(sides: Sides, found: Search) -> list[int]:
    """The probes for which another identity has the highest scores, of those that are wrong.

    A probe of nobody in the gallery is as wrong as the score of whom it is like.
    """
    mated = sides.labels != NOBODY
    wrong = np.flatnonzero((~mated | (found.ahead > 0)) & np.isfinite(found.other))
    order = wrong[np.argsort(-found.other[wrong], kind="stable")]
    return [int(row) for row in order[:_SHOWN]]


def faces_of_searches(given: Given, sides: Sides, found: Search) -> dict[str, bytes]:
    """Pictures of the worst searches, by the names of the images."""
    names = {name for row in worst(sides, found) for name in _names(sides, found, row) if name}
    ids = {name: sides.image_ids[name] for name in names}
    faces = pictures.faces_of(given.path, given.manifest, ids.values())
    return {name: faces[one] for name, one in ids.items() if one in faces}


def render_closed(
    results: Mapping[str, Any], sides: Sides, found: Search, faces: Mapping[str, bytes]
) -> str:
    """The page of a closed-set identification.

    Args:
        results: what `results.json` holds.
        sides: gallery and probes.
        found: of the probes.
        faces: see `faces_of_searches`.
    """
    rates = results["rank_rates"]
    cards = [figures.Card(f"Rank {row['rank']}", percent(row["rate"]), _span(row)) for row in rates]
    curve = np.array(results["cmc"])
    drawn = [
        charts.line(
            "Cumulative match characteristic",
            "rank",
            "share of the probes found",
            [charts.Series("probes", np.arange(1, len(curve) + 1), curve)],
            f"Share of probes whose identity is among the first ranks; {percent(curve[0])} on "
            "rank 1.",
        )
    ]
    sections = [
        *warnings(results),
        page.Section("Result", [figures.cards(cards)], _note(results, results["probes"])),
    ]
    strangers = results["distractors"]
    if strangers is not None:
        rows = strangers["rank_1"]
        sizes = np.array([row["distractors"] for row in rows], np.float64)
        rate = np.array([row["rate"] for row in rows])
        drawn.append(
            charts.line(
                "Rank 1 among strangers",
                "distractors in the gallery",
                "share of the probes on rank 1",
                [charts.Series("probes", sizes, rate)],
                "Share of probes on rank 1 as strangers join the gallery.",
                x_scale="log",
            )
        )
        cells: list[Sequence[tables.Cell]] = [
            (row["distractors"], percent(row["rate"]), _interval(row["wilson_95"])) for row in rows
        ]
        columns = [
            tables.Column(title, True) for title in ("distractors", "rank 1", "95 % interval")
        ]
        note = f"{strangers['left_out']:,} images of people who are no strangers were left out."
        sections.append(page.Section("Distractors", [tables.table(columns, cells)], note))
    sections += [page.Section("Curves", [charts.beside(drawn)]), _wrong(sides, found, faces)]
    return page.render("Identification", sections, f"closed set; model {results['model_id'][:12]}")


def render_open(
    results: Mapping[str, Any],
    sides: Sides,
    found: Search,
    curve: verification.Roc,
    faces: Mapping[str, bytes],
) -> str:
    """The page of an open-set identification.

    Args:
        results: what `results.json` holds.
        sides: gallery and probes.
        found: of the probes.
        curve: FPIR and FNIR at every threshold.
        faces: see `faces_of_searches`.
    """
    rows = results["fnir_at_fpir"]
    cards = [
        figures.Card(
            f"FNIR at FPIR {row['fpir']:g}",
            percent(row["fnir"]) if row["supported"] else "–",
            _span(row) if row["supported"] else row["reason"],
        )
        for row in rows
    ]
    mated = sides.labels != NOBODY
    shown = thinned(curve)
    drawn = [
        charts.line(
            "Detection error tradeoff",
            "false positive identification rate (FPIR)",
            "false negative identification rate (FNIR)",
            [charts.Series("probes", shown.fmr, shown.fnmr)],
            "FNIR over FPIR at every threshold.",
            x_scale="log",
        ),
        charts.histogram(
            "Scores",
            "cosine similarity",
            "share of the probes",
            [
                charts.Sample("own image", found.mate[mated]),
                charts.Sample("most like a stranger", found.other[~mated]),
            ],
            "Distribution of the scores of mates, and of the nearest image of those who have none.",
            share=True,
        ),
    ]
    count = results["probes"]
    sections = [
        *warnings(results),
        page.Section(
            "Result",
            [figures.cards(cards)],
            _note(results, count["mated"] + count["non_mated"])
            + f" {count['non_mated']:,} of the probes are of people who are not in it.",
        ),
        page.Section("Curves", [charts.beside(drawn)]),
        _wrong(sides, found, faces),
    ]
    return page.render("Identification", sections, f"open set; model {results['model_id'][:12]}")


def _note(results: Mapping[str, Any], probes: int) -> str:
    gallery = results["gallery"]
    note = (
        f"{probes:,} probes; a gallery of {gallery['images']:,} images of "
        f"{gallery['identities']:,} identities"
    )
    if results["drawn_with_seed"] is not None:
        note += f", drawn with seed {results['drawn_with_seed']}"
    if results["failure_to_acquire"]["failed"]:
        note += f"; {failures_text(results)} have no embedding and find nobody"
    return note + "."


def _wrong(sides: Sides, found: Search, faces: Mapping[str, bytes]) -> page.Section:
    rows = [
        pictures.Row(_names(sides, found, row), f"{found.other[row]:.4f}")
        for row in worst(sides, found)
    ]
    note = "A search stands here because the model errs or because a name does."
    blocks = pictures.side_by_side("Wrong identities with the highest scores", _TITLES, rows, faces)
    return page.Section("Hardest searches", blocks if rows else ["None went wrong."], note)


def _names(sides: Sides, found: Search, row: int) -> tuple[str, str, str]:
    other, mate = (
        "" if at == NOBODY else sides.roles.gallery[at].image
        for at in (found.other_row[row], found.mate_row[row])
    )
    return sides.roles.probes[row].image, other, mate


def _span(row: Mapping[str, Any]) -> str:
    of = "identities" if row["by_identity_95"] else "probes"
    return f"{_interval(row['by_identity_95'] or row['wilson_95'])}, 95 % over {of}"


def _interval(edges: Sequence[float]) -> str:
    return f"{100 * edges[0]:.2f} to {percent(edges[1])}"

"""The pages of very many pairs: all pairs of a set, and pairs of templates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemill.model.metrics import verification
from facemill.pipelines.common.report import charts, figures, page
from facemill.pipelines.evaluate import pictures, report

# Thresholds that a curve shows, of each spacing.
_POINTS = 400
# Scores of a class that a histogram counts.
_SAMPLE = 100_000
HARDEST = 12


def render_all_pairs(
    results: Mapping[str, Any],
    curve: verification.Roc,
    samples: tuple[np.ndarray, np.ndarray],
) -> str:
    """The page of an evaluation of all pairs.

    Args:
        results: what `results.json` holds.
        curve: of the pairs.
        samples: some genuine and some impostor scores.
    """
    count = results["pairs"]
    note = (
        f"{count['genuine']:,} genuine and {count['impostor']:,} impostor pairs: all of "
        f"{results['images']:,} images of {results['identities']:,} identities."
    )
    if results["without_identity"]:
        note += f" {results['without_identity']:,} images without identity were not compared."
    equal = report.rate_text(results["equal_error_rate"])
    cards = [figures.Card("Equal error rate", equal, "where FMR and FNMR are equal")]
    cards += report.rate_cards(results)
    sections = [
        *report.warnings(results),
        page.Section("Result", [figures.cards(cards)], note),
        page.Section("Curves", [_curves(results, curve, *samples)]),
        page.Section(
            "True accept rate at a false accept rate",
            [report.rates_table(results)],
            report.unsupported(results),
        ),
    ]
    return page.render("Evaluation", sections, f"all pairs; model {results['model_id'][:12]}")


def thinned(curve: verification.Roc) -> verification.Roc:
    """The curve at a part of its thresholds, many where few impostor pairs are accepted."""
    last = len(curve.threshold) - 1
    spaced = np.unique(np.geomspace(1, last + 1, _POINTS).astype(np.int64)) - 1
    chosen = np.union1d(spaced, np.linspace(0, last, _POINTS).astype(np.int64))
    return verification.Roc(curve.threshold[chosen], curve.fmr[chosen], curve.fnmr[chosen])


def render_templates(
    results: Mapping[str, Any],
    curve: verification.Roc,
    scores: np.ndarray,
    genuine: np.ndarray,
    hardest: Mapping[str, Sequence[pictures.Row]],
    faces: Mapping[str, bytes],
) -> str:
    """The page of an evaluation of template pairs.

    Args:
        results: what `results.json` holds.
        curve: of the pairs.
        scores: float64 [N]; -inf where a template has no embedding.
        genuine: bool [N].
        hardest: caption to pairs, an image for each template.
        faces: JPEGs by name of the image.
    """
    count, templates = results["pairs"], results["templates"]
    note = (
        f"{count['genuine']:,} genuine and {count['impostor']:,} impostor pairs of "
        f"{templates['listed']:,} templates, made of {results['failure_to_acquire']['images']:,} "
        "images."
    )
    failed = results["failure_to_acquire"]["failed"]
    if failed:
        note += (
            f" {failed:,} images have no embedding; {templates['without_embedding']:,} templates "
            f"have none at all, and their {count['missing']:,} pairs count as rejected."
        )
    equal = report.rate_text(results["equal_error_rate"])
    where = "where {} and {} are equal".format(*results["rates"])
    cards = [figures.Card("Equal error rate", equal, where), *report.rate_cards(results)]
    blocks = [
        block
        for caption, rows in hardest.items()
        for block in pictures.side_by_side(caption, ("one template", "other template"), rows, faces)
    ]
    sections = [
        *report.warnings(results),
        page.Section("Result", [figures.cards(cards)], note),
        page.Section(
            "Curves", [_curves(results, curve, _some(scores[genuine]), _some(scores[~genuine]))]
        ),
        page.Section(
            "True accept rate at a false accept rate",
            [report.rates_table(results)],
            report.unsupported(results),
        ),
        page.Section("Hardest pairs", blocks, "Of each template, its first image is shown."),
    ]
    return page.render("Evaluation", sections, f"templates; model {results['model_id'][:12]}")


def _curves(
    results: Mapping[str, Any], curve: verification.Roc, genuine: np.ndarray, impostor: np.ndarray
) -> charts.Markup:
    histogram = charts.histogram(
        "Scores",
        "cosine similarity",
        "share of the class's pairs",
        [charts.Sample("genuine", genuine), charts.Sample("impostor", impostor)],
        "Distribution of the scores of genuine and of impostor pairs.",
        share=True,
    )
    return charts.beside([*report.rate_curves(results, thinned(curve)), histogram])


def _some(scores: np.ndarray) -> np.ndarray:
    """Scores at equal distances in the list, as many as a chart needs."""
    return scores[:: max(1, len(scores) // _SAMPLE)]

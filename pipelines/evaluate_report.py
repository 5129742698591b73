"""The page of an evaluation: key figures, curves, folds, and the pairs that are hardest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model.metrics import verification
from model.protocols.lfw import Pair, PairList
from transforms.report import charts, figures, page, tables

_HARDEST = 12


def render(results: Mapping[str, Any], pairs: PairList, scores: np.ndarray) -> str:
    """The whole HTML page.

    Args:
        results: what `results.json` holds.
        pairs: the evaluated list.
        scores: float [N]; -inf where an embedding is missing.
    """
    count = results["pairs"]
    notes = [f"{count['genuine']:,} genuine and {count['impostor']:,} impostor pairs"]
    if count["missing"]:
        notes.append(f"{count['missing']:,} of them without embeddings, counted as not matched")
    sections = [
        page.Section("Result", [figures.cards(_cards(results))], "; ".join(notes) + "."),
        page.Section("Curves", [_curves(results, pairs, scores)]),
        page.Section("True accept rate at a false accept rate", [_rates(results)]),
        page.Section(
            "Folds" if len(results["folds"]) > 1 else "Threshold",
            [_folds(results)],
            f"Thresholds come from: {results['accuracy']['threshold_from']}.",
        ),
        page.Section(
            "Hardest pairs",
            [
                _hardest(pairs, scores, genuine=True),
                _hardest(pairs, scores, genuine=False),
            ],
            "A pair stands here because the model errs or because its label does.",
        ),
    ]
    subtitle = f"Labeled Faces in the Wild protocol, View {results['view']}; model "
    return page.render("Verification", sections, subtitle + results["model_id"][:12])


def percent(share: float) -> str:
    """`0.97683` is `97.68 %`."""
    return f"{100 * share:.2f} %"


def accuracy_text(results: Mapping[str, Any]) -> str:
    """`97.68 % ± 0.51`."""
    accuracy = results["accuracy"]
    return f"{percent(accuracy['mean'])} ± {100 * accuracy['standard_error']:.2f}"


def _cards(results: Mapping[str, Any]) -> list[figures.Card]:
    count = len(results["folds"])
    spread = "standard error" if count == 1 else f"standard error over {count} folds"
    best = results["best_threshold_accuracy"]
    cards = [
        figures.Card(
            "Accuracy", accuracy_text(results).replace("± ", "±\N{NO-BREAK SPACE}"), f"± {spread}"
        ),
        figures.Card(
            "Equal error rate",
            percent(results["equal_error_rate"]["rate"]),
            "where FMR and FNMR are equal",
        ),
    ]
    for row in results["tar_at_far"]:
        shown = percent(row["tar"]) if row["supported"] else "not supported"
        note = "of genuine pairs accepted" if row["supported"] else row["reason"]
        cards.append(figures.Card(f"TAR at FAR {row['far']:g}", shown, note))
    cards.append(
        figures.Card(
            "Best accuracy", percent(best["accuracy"]), "optimistic: threshold from these pairs"
        )
    )
    return cards


def _curves(results: Mapping[str, Any], pairs: PairList, scores: np.ndarray) -> charts.Markup:
    genuine, impostor = scores[pairs.genuine], scores[~pairs.genuine]
    curve = verification.roc(genuine, impostor)
    rate = percent(results["equal_error_rate"]["rate"])
    diagonal = [min(1 / len(impostor), 0.1), 0.5]
    return charts.beside(
        [
            charts.line(
                "Receiver operating characteristic",
                "false accept rate (FMR)",
                "true accept rate (1 - FNMR)",
                [charts.Series("all pairs", curve.fmr, 1 - curve.fnmr)],
                f"True accept rate over false accept rate; equal error rate {rate}.",
                x_scale="log",
            ),
            charts.line(
                "Detection error tradeoff",
                "false match rate (FMR)",
                "false non-match rate (FNMR)",
                [
                    charts.Series("all pairs", curve.fmr, curve.fnmr),
                    charts.Series("FMR = FNMR", diagonal, diagonal),
                ],
                f"FNMR over FMR on normal deviate axes; they are equal at {rate}.",
                x_scale="normal",
                y_scale="normal",
            ),
            charts.histogram(
                "Scores",
                "cosine similarity",
                "share of the class's pairs",
                [charts.Sample("genuine", genuine), charts.Sample("impostor", impostor)],
                "Distribution of the scores of genuine and of impostor pairs.",
                share=True,
            ),
        ]
    )


def _rates(results: Mapping[str, Any]) -> charts.Markup:
    rows: list[Sequence[tables.Cell]] = []
    for row in results["tar_at_far"]:
        if row["supported"]:
            low, high = row["tar_95"]
            interval = f"{100 * low:.2f} to {percent(high)}"
            rows.append((f"{row['far']:g}", percent(row["tar"]), interval, row["threshold"]))
        else:
            rows.append((f"{row['far']:g}", "not supported", row["reason"], None))
    number = [tables.Column(title, True) for title in ("FAR", "TAR", "95 % interval", "threshold")]
    return tables.table(number, rows)


def _folds(results: Mapping[str, Any]) -> charts.Markup:
    columns = [tables.Column(t, True) for t in ("fold", "pairs", "threshold", "accuracy")]
    rows = [
        (row["number"], row["pairs"], row["threshold"], percent(row["accuracy"]))
        for row in results["folds"]
    ]
    return tables.table(columns, rows)


def _hardest(pairs: PairList, scores: np.ndarray, genuine: bool) -> charts.Markup:
    members = np.flatnonzero(pairs.genuine == genuine)
    # Ties stay in the order of the file.
    order = members[np.argsort(scores[members] * (1 if genuine else -1), kind="stable")]
    rows = [_hard_row(pairs.pairs[place], float(scores[place])) for place in order[:_HARDEST]]
    caption = (
        "Genuine pairs with the lowest scores"
        if genuine
        else "Impostor pairs with the highest scores"
    )
    return tables.table(["one image", "other image", tables.Column("score", True)], rows, caption)


def _hard_row(pair: Pair, score: float) -> tuple[str, str, str]:
    shown = f"{score:.4f}" if np.isfinite(score) else "missing"
    return _short(pair.left), _short(pair.right), shown


def _short(image: str) -> str:
    return image.rsplit("/", 1)[-1].removesuffix(".jpg")

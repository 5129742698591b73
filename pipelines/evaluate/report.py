"""The page of an evaluation: key figures, curves, folds, and the pairs that are hardest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemill.model.metrics import verification
from facemill.model.protocols.lfw import PairList
from facemill.pipelines.common.report import charts, figures, page, tables
from facemill.pipelines.evaluate import groups, pictures

_HARDEST = 12
# Names that a warning has itself, and names that the page lists below it.
_FEW, _NAMED = 3, 200
# Stands for a figure that does not exist.
_NONE = "–"


def render(
    results: Mapping[str, Any],
    pairs: PairList,
    scores: np.ndarray,
    faces: Mapping[str, bytes] | None = None,
) -> str:
    """The HTML page.

    Args:
        results: what `results.json` holds.
        pairs: the evaluated list.
        scores: float [N]; -inf where an embedding is missing.
        faces: JPEGs of the images of the hardest pairs, by the list's names.
    """
    count = results["pairs"]
    notes = [f"{count['genuine']:,} genuine and {count['impostor']:,} impostor pairs"]
    if count["missing"]:
        notes.append(f"{count['missing']:,} of them without both embeddings, counted as rejected")
    sections = [
        *warnings(results),
        page.Section("Result", [figures.cards(_cards(results))], "; ".join(notes) + "."),
        page.Section("Curves", [_curves(results, pairs, scores)]),
        page.Section(
            "True accept rate at a false accept rate", [rates_table(results)], unsupported(results)
        ),
    ]
    if results["comparisons"]:
        sections.append(_comparisons(results))
    sections += [
        *groups.section(results),
        page.Section(
            "Folds" if len(results["folds"]) > 1 else "Threshold",
            [_folds(results)],
            f"Thresholds come from: {results['accuracy']['threshold_from']}.",
        ),
        page.Section(
            "Hardest pairs",
            [
                *_hardest(pairs, scores, True, faces or {}),
                *_hardest(pairs, scores, False, faces or {}),
            ],
            "A pair stands here because the model errs or because its label does.",
        ),
    ]
    what = "insightface's pairs" if results["protocol"] == "bin" else "list of pairs"
    if results["view"]:
        what = f"Labeled Faces in the Wild protocol, View {results['view']}"
    return page.render("Evaluation", sections, f"{what}; model {results['model_id'][:12]}")


def warnings(results: Mapping[str, Any]) -> list[page.Section]:
    """What makes the figures better than they are, before them."""
    found = list(results.get("warnings", ()))
    shared = results.get("trained_on", {}).get("shared", ())
    if len(shared) > _FEW:
        more = f" and {len(shared) - _NAMED:,} more" if len(shared) > _NAMED else ""
        found.append(f"In both: {', '.join(shared[:_NAMED])}{more}.")
    return [page.Section("Before you trust these figures", found)] if found else []


def percent(share: float) -> str:
    """`0.97683` is `97.68 %`."""
    return f"{100 * share:.2f} %"


def rate_text(equal: Mapping[str, Any]) -> str:
    """An equal error rate, or "none" where no threshold makes the two rates equal."""
    return "none" if equal["rate"] is None else percent(equal["rate"])


def failures_text(results: Mapping[str, Any]) -> str:
    """`3 of 7,701 images (0.04 %)`."""
    found = results["failure_to_acquire"]
    return f"{found['failed']:,} of {found['images']:,} images ({percent(found['rate'])})"


def accuracy_text(results: Mapping[str, Any]) -> str:
    """`97.68 % ± 0.51`."""
    accuracy = results["accuracy"]
    return f"{percent(accuracy['mean'])} ± {100 * accuracy['standard_error']:.2f}"


def insightface_text(results: Mapping[str, Any]) -> str:
    """`99.82 %, standard deviation 0.20`."""
    found = results["insightface"]
    return f"{percent(found['mean'])}, standard deviation {100 * found['standard_deviation']:.2f}"


def _cards(results: Mapping[str, Any]) -> list[figures.Card]:
    count = len(results["folds"])
    spread = "standard error" if count == 1 else f"standard error over {count} folds"
    accuracy = results["accuracy"]
    error = f"{100 * accuracy['standard_error']:.2f}"
    best = results["best_threshold_accuracy"]
    cards = [
        figures.Card("Accuracy", percent(accuracy["mean"]), f"±\N{NO-BREAK SPACE}{error} {spread}"),
        figures.Card(
            "Equal error rate",
            rate_text(results["equal_error_rate"]),
            "where {} and {} are equal".format(*results["rates"]),
        ),
    ]
    if results["comparisons"]:
        rate = percent(results["failure_to_acquire"]["rate"])
        cards.append(figures.Card("Failure to acquire", rate, "of the images"))
    if "insightface" in results:
        found, note = results["insightface"], "thresholds in steps of 0.01, as its program has them"
        cards.append(figures.Card("Accuracy as insightface", percent(found["mean"]), note))
    cards += rate_cards(results)
    cards.append(
        figures.Card(
            "Best accuracy", percent(best["accuracy"]), "optimistic: threshold from these pairs"
        )
    )
    return cards


def rate_cards(results: Mapping[str, Any]) -> list[figures.Card]:
    """TAR at each FAR."""
    cards = []
    for row in results["tar_at_far"]:
        shown = percent(row["tar"]) if row["supported"] else _NONE
        note = "of genuine pairs accepted" if row["supported"] else row["reason"]
        cards.append(figures.Card(f"TAR at FAR {row['far']:g}", shown, note))
    return cards


def _curves(results: Mapping[str, Any], pairs: PairList, scores: np.ndarray) -> charts.Markup:
    genuine, impostor = scores[pairs.genuine], scores[~pairs.genuine]
    scores_chart = charts.histogram(
        "Scores",
        "cosine similarity",
        "share of the class's pairs",
        [charts.Sample("genuine", genuine), charts.Sample("impostor", impostor)],
        "Distribution of the scores of genuine and of impostor pairs.",
        share=True,
    )
    curve = verification.roc(genuine, impostor)
    return charts.beside([*rate_curves(results, curve), scores_chart])


def rate_curves(results: Mapping[str, Any], curve: verification.Roc) -> list[charts.Markup]:
    """ROC and DET."""
    rate = rate_text(results["equal_error_rate"])
    accept, reject = results["rates"]
    words = ("accept", "reject") if accept == "FAR" else ("match", "non-match")
    diagonal = [min(1 / results["pairs"]["impostor"], 0.1), 0.5]
    return [
        charts.line(
            "Receiver operating characteristic",
            f"false accept rate ({accept})",
            f"true accept rate (1 - {reject})",
            [charts.Series("all pairs", curve.fmr, 1 - curve.fnmr)],
            f"True accept rate over false accept rate; equal error rate {rate}.",
            x_scale="log",
        ),
        charts.line(
            "Detection error tradeoff",
            f"false {words[0]} rate ({accept})",
            f"false {words[1]} rate ({reject})",
            [
                charts.Series("all pairs", curve.fmr, curve.fnmr),
                charts.Series(f"{accept} = {reject}", diagonal, diagonal),
            ],
            f"{reject} over {accept} on normal deviate axes; they are equal at {rate}.",
            x_scale="normal",
            y_scale="normal",
        ),
    ]


def rates_table(results: Mapping[str, Any]) -> charts.Markup:
    """TAR at each FAR, with intervals and threshold."""
    rows: list[Sequence[tables.Cell]] = []
    # Pairs that name no identities have one kind of interval.
    named = any(row.get("tar_by_identity_95") for row in results["tar_at_far"])
    for row in results["tar_at_far"]:
        shown = percent(row["tar"]) if row["supported"] else _NONE
        spans = [_span(row.get("tar_95")), _span(row.get("tar_by_identity_95"))]
        rows.append((f"{row['far']:g}", shown, *spans[: 1 + named], row.get("threshold")))
    titles = ["FAR", "TAR", "95 % interval", "95 % over identities", "threshold"]
    if not named:
        titles.remove("95 % over identities")
    return tables.table([tables.Column(title, True) for title in titles], rows)


def _span(edges: Sequence[float] | None) -> str | None:
    return None if edges is None else f"{100 * edges[0]:.2f} to {percent(edges[1])}"


def unsupported(results: Mapping[str, Any]) -> str:
    """Which FARs the impostor pairs do not support, or nothing."""
    rows = [row for row in results["tar_at_far"] if not row["supported"]]
    rates = " and ".join(f"{row['far']:g}" for row in rows)
    return f"{rates}: {rows[0]['reason']}." if rows else ""


def _comparisons(results: Mapping[str, Any]) -> page.Section:
    """FMR and FNMR beside FAR and FRR, which count failures to acquire as rejections."""
    alone = results["comparisons"]
    rows: list[Sequence[tables.Cell]] = [
        (
            "equal",
            rate_text(results["equal_error_rate"]),
            rate_text(alone["equal_error_rate"]),
        )
    ]
    for all_pairs, row in zip(results["tar_at_far"], alone["fnmr_at_fmr"], strict=True):
        frr = percent(1 - all_pairs["tar"]) if all_pairs["supported"] else _NONE
        fnmr = _NONE if row["fnmr"] is None else percent(row["fnmr"])
        rows.append((f"{row['fmr']:g}", frr, fnmr))
    titles = ("FAR or FMR", "FRR, all pairs", "FNMR, compared pairs")
    columns = [tables.Column(title, True) for title in titles]
    note = (
        f"{failures_text(results)} have no embedding. Over all pairs the rates are FAR and FRR: a "
        "pair that cannot be compared is rejected. Over the "
        f"{alone['genuine']:,} genuine and {alone['impostor']:,} impostor pairs that were compared "
        "they are FMR and FNMR."
    )
    return page.Section("With and without failures to acquire", [tables.table(columns, rows)], note)


def _folds(results: Mapping[str, Any]) -> charts.Markup:
    columns = [tables.Column(t, True) for t in ("fold", "pairs", "threshold", "accuracy")]
    rows = [
        (row["number"], row["pairs"], row["threshold"], percent(row["accuracy"]))
        for row in results["folds"]
    ]
    return tables.table(columns, rows)


def _hardest(
    pairs: PairList, scores: np.ndarray, genuine: bool, faces: Mapping[str, bytes]
) -> list[charts.Markup | str]:
    rows = [
        pictures.Row((pairs.pairs[index].left, pairs.pairs[index].right), _score(scores[index]))
        for index in hardest(pairs, scores, genuine)
    ]
    caption = (
        "Genuine pairs with the lowest scores"
        if genuine
        else "Impostor pairs with the highest scores"
    )
    return pictures.side_by_side(caption, ("one image", "other image"), rows, faces)


def hardest(pairs: PairList, scores: np.ndarray, genuine: bool) -> list[int]:
    """The pairs that the page shows, the worst first.

    Args:
        pairs: the evaluated list.
        scores: as in `render`.
        genuine: of genuine pairs those with the lowest scores, else of impostor pairs those with
            the highest.
    """
    members = np.flatnonzero(pairs.genuine == genuine)
    # Ties stay in the order of the file.
    order = members[np.argsort(scores[members] * (1 if genuine else -1), kind="stable")]
    return [int(index) for index in order[:_HARDEST]]


def _score(score: float) -> str:
    return f"{score:.4f}" if np.isfinite(score) else "missing"

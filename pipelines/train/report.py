"""The report of a training run: the curves, the pairs told apart, and the recipe."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from facemill.model.data.validation_pairs import Scores
from facemill.model.metrics import verification
from facemill.model.training.history import History
from facemill.pipelines.common.report import charts, figures, page, tables

# More points than a chart has pixels tell nothing.
_POINTS = 400
_WORDS = {True: "yes", False: "no"}


def render(
    described: Mapping[str, Any],
    history: History,
    scores: Scores | None,
    dataset: Mapping[str, Any],
) -> str:
    """The page, the same for the same run.

    Args:
        described: the model manifest's own keys.
        history: of the run.
        scores: of the validation pairs in the end, or None.
        dataset: manifest of the dataset.
    """
    sections = [
        page.Section("Result", [figures.cards(_cards(described, history, dataset))]),
        page.Section("Course", [charts.beside(_course(history))]),
    ]
    if scores is not None:
        note = (
            f"{len(scores.genuine):,} genuine and {len(scores.impostor):,} impostor pairs of "
            "identities that were not trained on; the accuracy's threshold is chosen on them."
        )
        sections.append(page.Section("Validation pairs", [charts.beside(_pairs(scores))], note))
    recipe = tables.table(["setting", tables.Column("value", True)], _recipe(described["recipe"]))
    sections.append(page.Section("Recipe", [recipe]))
    return page.render("Training", sections, f"model {described['model_id'][:12]}")


def _cards(
    described: Mapping[str, Any], history: History, dataset: Mapping[str, Any]
) -> list[figures.Card]:
    train = dataset["splits"]["train"]
    cards = [
        figures.Card("Images", train["records"], "of the train split"),
        figures.Card("Identities", train["identities"]),
        figures.Card("Steps", len(history.losses)),
        figures.Card("Loss", f"{described['metrics']['loss']:.4f}", "mean of the last steps"),
    ]
    if "accuracy" in described["metrics"]:
        accuracy = described["metrics"]["accuracy"]
        rate = described["metrics"]["equal_error_rate"]
        cards.append(figures.Card("Pair accuracy", f"{100 * accuracy:.2f} %", "optimistic"))
        cards.append(figures.Card("Equal error rate", f"{100 * rate:.2f} %"))
    return cards


def _recipe(recipe: Mapping[str, Any]) -> list[list[tables.Cell]]:
    # Of the two ways to say how long, the one that was used.
    unused = "steps" if recipe["steps"] is None else "epochs"
    return [
        [name.replace("_", " "), _WORDS[value] if isinstance(value, bool) else value]
        for name, value in recipe.items()
        if name != unused
    ]


def _course(history: History) -> list[charts.Markup]:
    losses = np.array(history.losses)
    width = max(1, len(losses) // _POINTS)
    edges = np.arange(0, len(losses), width)
    means = np.add.reduceat(losses, edges) / np.diff(np.append(edges, len(losses)))
    shown = [
        charts.line(
            "Loss",
            "step",
            "cross-entropy",
            [charts.Series("train", edges + 1, means)],
            f"From {means[0]:.3g} to {means[-1]:.3g}.",
        ),
        charts.line(
            "Learning rate",
            "step",
            "learning rate",
            [charts.Series("rate", edges + 1, np.array(history.rates)[edges])],
            f"At most {max(history.rates):.3g}.",
        ),
    ]
    if history.validation:
        steps = [row["step"] for row in history.validation]
        accuracy = [100 * row["accuracy"] for row in history.validation]
        shown.append(
            charts.line(
                "Pair accuracy",
                "step",
                "validation pairs told apart (%)",
                [charts.Series("val", steps, accuracy)],
                f"{accuracy[-1]:.2f} % in the end.",
            )
        )
    return shown


def _pairs(scores: Scores) -> list[charts.Markup]:
    curve = verification.roc(scores.genuine, scores.impostor)
    return [
        charts.line(
            "Receiver operating characteristic",
            "false accept rate (FMR)",
            "true accept rate (1 - FNMR)",
            [charts.Series("val pairs", curve.fmr, 1 - curve.fnmr)],
            "True accept rate over false accept rate.",
        ),
        charts.histogram(
            "Cosines",
            "cosine of a pair",
            "share of the pairs",
            [charts.Sample("genuine", scores.genuine), charts.Sample("impostor", scores.impostor)],
            "Cosines of genuine and of impostor pairs.",
            share=True,
        ),
    ]

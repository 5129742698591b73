"""The report of a training run: curves, validation pairs, the dataset, its images, the recipe."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemill.model.data.augmented_examples import Example
from facemill.model.data.validation_pairs import Pairs, Scores
from facemill.model.metrics import pair_figures
from facemill.model.training import stopping
from facemill.model.training.history import History
from facemill.model.training.validation import SEPARATOR
from facemill.pipelines.common.report import charts, figures, images, page, tables
from facemill.pipelines.train import datasets, report_tables, report_validation
from facemill.pipelines.train.options import VAL
from facemill.transforms.dataset.split_names import FOLDERS

# More points than a chart has pixels show nothing more.
_POINTS = 400
# Lines of one chart that can be told apart.
_SETS = 4
_AUGMENTED = (
    "Images of the train split as they are stored, and as the first epochs see them: each epoch "
    "draws its own changes of each image, as the recipe says."
)
_WORDS = {True: "yes", False: "no"}


def render(
    described: Mapping[str, Any],
    history: History,
    scores: Scores | None,
    pairs: Pairs | None,
    dataset: Mapping[str, Any],
    examples: Sequence[Example],
    warnings: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
) -> str:
    """The page, the same for the same run.

    Args:
        described: the model manifest's own keys.
        history: of the run.
        scores: of the validation pairs after the last step, or None.
        pairs: the validation pairs, or None.
        dataset: manifest of the dataset, or what several have together.
        examples: training images and what the augmentation makes of them.
        warnings: sentences about the settings, shown first.
        sizes: bytes of the exported files by format; given where `described` has `exports`.
    """
    sections = [page.Section("Before you trust these figures", warnings)] if warnings else []
    sections += [
        page.Section("Result", [figures.cards(_cards(described, history, dataset))]),
        page.Section("Learning curves", [charts.beside(_curves(history))]),
    ]
    if scores is not None:
        sections += report_validation.sections(scores, pairs)
    if described.get("validation"):
        table = report_tables.validation(described["validation"])
        sections.append(page.Section("Validation sets", [table], report_tables.VALIDATION_NOTE))
    if described.get("exports"):
        table = report_tables.exports(described["exports"], sizes or {})
        sections.append(page.Section("Exported files", [table], report_tables.EXPORTS_NOTE))
    if "datasets" in described:
        sections.append(datasets.section(described))
    else:
        sections.append(page.Section("Dataset", _dataset(dataset)))
    if examples:
        sections.append(page.Section("Augmented examples", [_augmented(examples)], _AUGMENTED))
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
    intervals = _intervals(described.get("validation", ()))
    for name, value in described["metrics"].items():
        if name != "loss":
            note = _interval(intervals.get(name))
            cards.append(figures.Card(_words(name), f"{100 * value:.2f} %", note))
    return cards


def _intervals(rows: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[float]]:
    """Limits of the val split's figures by the names that `metrics` has."""
    found: dict[str, Sequence[float]] = {}
    for row in rows:
        if row["kind"] == "val":
            found["accuracy"] = row["accuracy_95"]
            rates = [one for one in row["tar_at_fmr"] if one["supported"]]
            found |= {pair_figures.tar_name(one["far"]): one["tar_95"] for one in rates}
    return found


def _interval(found: Sequence[float] | None) -> str:
    return "" if found is None else f"95 %: {100 * found[0]:.1f}–{100 * found[1]:.1f} %"


def _words(name: str) -> str:
    """The name of a validation's figure."""
    words = {"accuracy": "Pair accuracy", "equal_error_rate": "Equal error rate"}
    return words.get(name) or f"TAR at FMR {stopping.rate_of(name):g}"


def _recipe(recipe: Mapping[str, Any]) -> list[list[tables.Cell]]:
    # The length is given by `steps` or by `epochs`; the unused one is left out.
    unused = "steps" if recipe["steps"] is None else "epochs"
    return [
        [name.replace("_", " "), _shown(value)] for name, value in recipe.items() if name != unused
    ]


def _shown(value: Any) -> tables.Cell:
    if isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, tuple):
        return ", ".join(f"{one:g}" for one in value) or "none"
    return value


def _curves(history: History) -> list[charts.Markup]:
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
    shown += _validation(history)
    if history.gradients:
        shown += [_gradients(history), _by_depth(history)]
    return shown


def _validation(history: History) -> list[charts.Markup]:
    """Accuracy on each set, and TAR on the val pairs where they support one."""
    if not history.validation:
        return []
    series = _accuracies(history)
    shown = [
        charts.line(
            _words(stopping.ACCURACY),
            "step",
            "validation pairs told apart (%)",
            series[:_SETS],
            f"{series[0].y[-1]:.2f} % in the end."
            + (f" The first {_SETS} of {len(series)} sets." if len(series) > _SETS else ""),
        )
    ]
    name = stopping.watched(history.validation[0])
    if name != stopping.ACCURACY:
        steps = np.array([row["step"] for row in history.validation])
        values = [100 * row[name] for row in history.validation]
        shown.append(
            charts.line(
                _words(name),
                "step",
                "genuine pairs accepted (%)",
                [charts.Series(VAL, steps, values)],
                f"{values[-1]:.2f} % in the end, at most {max(values):.2f} %.",
            )
        )
    return shown


def _accuracies(history: History) -> list[charts.Series]:
    """The accuracy of each set after each validation, the val pairs' first."""
    steps = [row["step"] for row in history.validation]
    found = []
    for name in history.validation[-1]:
        of_set, _, figure = name.rpartition(SEPARATOR)
        if figure == "accuracy":
            values = [100 * row[name] for row in history.validation]
            found.append(charts.Series(of_set or VAL, steps, values))
    return found


def _gradients(history: History) -> charts.Markup:
    """The norms of the layers with the smallest, the median and the largest one."""
    norms = np.array([row["norms"] for row in history.gradients])
    steps = np.array([row["step"] for row in history.gradients])
    order = np.argsort(np.median(norms, axis=0), kind="stable")
    picked = dict.fromkeys([order[0], order[len(order) // 2], order[-1]])
    smallest, largest = history.layers[order[0]], history.layers[order[-1]]
    return charts.line(
        "Gradient norms",
        "step",
        "norm of a layer's gradient",
        [charts.Series(history.layers[index], steps, norms[:, index]) for index in picked],
        f"Of {len(order)} layers, {smallest} has the smallest and {largest} the largest.",
        y_scale="log",
    )


def _by_depth(history: History) -> charts.Markup:
    """The norms of all layers in their order, from the image to the loss: early and late ones."""
    norms = np.array([row["norms"] for row in history.gradients])
    width = max(1, len(norms) // 5)
    order = np.arange(1, len(history.layers) + 1)
    series = [charts.Series("first steps", order, np.median(norms[:width], axis=0))]
    if len(norms) > 1:
        series.append(charts.Series("last steps", order, np.median(norms[-width:], axis=0)))
    return charts.line(
        "Gradient norms by layer",
        "layer, from the image to the loss",
        "norm of a layer's gradient",
        series,
        f"From {history.layers[0]} to {history.layers[-1]}; a curve that falls towards the image "
        "shows a gradient that vanishes.",
        y_scale="log",
    )


def _dataset(dataset: Mapping[str, Any]) -> list[page.Markup | str]:
    """Figures of the dataset, from its manifest."""
    counts, preprocessing = dataset["counts"], dataset["preprocessing"]
    held_out = dataset["held_out"]
    excluded = counts["rejected"] + counts["dropped"]
    side = f"{preprocessing['image_size']} px"
    cards = [
        figures.Card("Kept", counts["kept"], f"of {counts['listed']:,} images listed"),
        figures.Card("Duplicate", counts["duplicate"]),
        figures.Card("Conflict", counts["conflict"]),
        figures.Card("Rejected or dropped", excluded),
        figures.Card("Side", side, f"align {preprocessing['align']}"),
        figures.Card("Held-out set", "none")
        if held_out is None
        else figures.Card("Held-out set", held_out["listed"], "images that were kept apart"),
    ]
    splits = dataset["splits"]
    rows: list[list[str | int]] = [
        [name, splits[name]["identities"], splits[name]["records"]]
        for name in FOLDERS
        if name in splits
    ]
    numbers = [tables.Column(name, True) for name in ("identities", "records")]
    sizes = dataset["balance"]["identity"]["after"]
    chart = charts.count_histogram(
        "Identities by number of records",
        "records of an identity",
        "identities",
        [charts.Sample("after", np.repeat([int(size) for size in sizes], list(sizes.values())))],
        f"{sum(sizes.values()):,} identities of all splits.",
    )
    return [figures.cards(cards), charts.beside([tables.table(["split", *numbers], rows), chart])]


def _augmented(examples: Sequence[Example]) -> page.Markup:
    groups = []
    for example in examples:
        tiles = [images.Thumbnail(images.encode(example.stored), "as stored")]
        tiles += [
            images.Thumbnail(images.encode(pixels), f"epoch {epoch}")
            for epoch, pixels in enumerate(example.augmented, start=1)
        ]
        groups.append(images.Group(images.short_name(example.image_id), tiles))
    return images.sheet(groups)

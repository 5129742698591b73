"""`facemill train --find-learning-rate`: a range test of learning rates in place of a model."""

import dataclasses
import json
import platform
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facemill.model.data.teacher_targets import TeacherTargets
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import find_rate
from facemill.model.training.find_rate import Curve
from facemill.model.training.trainer import Data
from facemill.pipelines.common.report import charts, figures, page, tables
from facemill.pipelines.train.cautions import with_flags
from facemill.transforms import storage
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.writing import Work

KIND = "rate-test"
CURVE, REPORT = "learning_rate.json", "report.html"
# The scratch directory keeps TensorBoard's files; they are no part of the result.
_LOGS = "logs"


def run(
    work: Work,
    dataset: str,
    manifest: dict[str, Any],
    transform: Transform,
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
    targets: TeacherTargets | None = None,
) -> None:
    """Tests, and writes the curve, the report and the manifest.

    Args:
        work: the output.
        dataset: its path.
        manifest: its manifest.
        transform: its transform.
        recipe: of the run that the rate is for.
        strategy: each batch is divided among its replicas.
        targets: a teacher's embeddings of the train split, or None.

    Raises:
        RunError: a record is damaged.
    """
    started = time.time()
    keras.utils.set_random_seed(recipe.seed)
    data = Data(dataset, manifest, transform, None, targets)
    logs = work.folder(_LOGS)
    curve = find_rate.measure(data, recipe, strategy, work.folder("checkpoints"), logs)
    reason = with_flags(curve.reason)
    found = {**dataclasses.asdict(curve), "reason": reason}
    content = json.dumps(found, indent=1, allow_nan=False).encode("ascii") + b"\n"
    storage.write_atomically(work.path(CURVE), content)
    storage.write_atomically(work.path(REPORT), render(curve, reason, recipe).encode("utf-8"))
    names = (CURVE, REPORT)
    work.commit(
        {
            "counts": {"steps": len(curve.losses)},
            "dataset_fingerprint": artifact.fingerprint(manifest),
            "recipe": dataclasses.asdict(recipe),
            "proposal": curve.proposal,
            "reason": reason,
            "files": [artifact.file_entry(work.scratch, name) for name in names],
        },
        [(work.path(name), name) for name in names],
        {
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
            "seconds": round(time.time() - started, 2),
        },
    )
    print(work.output)
    if curve.proposal is not None:
        print(f"  --learning-rate {curve.proposal:g}")
    print(f"  {reason}")


def render(curve: Curve, reason: str, recipe: Recipe) -> str:
    """The page: the proposal, the curve and the recipe."""
    proposal = "none" if curve.proposal is None else f"{curve.proposal:g}"
    rates = np.array(curve.rates)
    series = [
        charts.Series("loss of each step", rates, curve.losses),
        charts.Series("smoothed", rates, curve.smoothed),
    ]
    chart = charts.line("Loss by rate", "learning rate", "loss", series, reason, x_scale="log")
    rows: list[list[tables.Cell]] = [
        [name.replace("_", " "), str(value)] for name, value in dataclasses.asdict(recipe).items()
    ]
    sections = [
        page.Section("Result", [figures.cards([figures.Card("Proposed rate", proposal)])], reason),
        page.Section(
            "Curve",
            [charts.beside([chart])],
            "A new model is trained, each step at a higher rate than the one before.",
        ),
        page.Section("Recipe", [tables.table(["setting", "value"], rows)]),
    ]
    return page.render("Learning rate test", sections)

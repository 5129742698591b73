"""Training runs, each in a process of its own, since devices and determinism are set once there.

python -m tests.model.training_runs replicas DATASET FOLDER COUNT
python -m tests.model.training_runs resume DATASET FOLDER
"""

import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from facemill.model.data import validation_pairs
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import strategy as strategies
from facemill.model.training import trainer as training
from facemill.model.training.trainer import Data, Trainer
from tests.model import tiny


class StoppedError(Exception):
    """The run was stopped on purpose."""


def trainer(dataset: Path, recipe: Recipe, strategy: tf.distribute.Strategy, folder: Path):
    keras.utils.set_random_seed(recipe.seed)
    manifest = tiny.manifest(dataset)
    pairs = validation_pairs.draw(str(dataset), manifest, 20, 1) if recipe.early_stopping else None
    data = Data(str(dataset), manifest, Transform(str(dataset), manifest), pairs)
    return Trainer(data, recipe, strategy, str(folder), str(folder))


def save(path: Path, trained: Trainer) -> None:
    """Losses and all weights."""
    weights = trained.embedder.network.get_weights() + trained._head.get_weights()
    weights += trained.exported.network.get_weights()
    named = {f"weight {index:03d}": value for index, value in enumerate(weights)}
    np.savez(path, losses=np.array(trained.history.losses), **named)


def run_replicas(dataset: Path, folder: Path, count: int) -> None:
    # Each image's result depends on that image alone: no BatchNorm, no dropout.
    recipe = Recipe(
        network="plain",
        head="arcface",
        embedding_size=32,
        scale=16.0,
        steps=20,
        batch_size=12,
        learning_rate=0.02,
        warmup_epochs=1.0,
        clip_norm=2.0,
        weight_decay=0.05,
        erase=0.3,
    )
    strategy = strategies.replicas(count)
    trained = trainer(dataset, recipe, strategy, folder)
    trained.run()
    save(folder / "result.npz", trained)
    parts = dataclasses.replace(recipe, accumulate=3, ema=0.9)
    trained = trainer(dataset, parts, strategy, folder / "parts")
    trained.run()
    save(folder / "parts.npz", trained)


# Together every kind of state: dropout, BatchNorm, the moments of two optimizers, the average, best
# weights; parts of batches, one replica and two.
# Margin and scale are still rising where the run is resumed.
PARTS = Recipe(
    embedding_size=16, margin=0.2, steps=9, batch_size=12, learning_rate=1e-3, ema=0.9,
    accumulate=2, margin_warmup_epochs=2.0, scale_warmup_epochs=2.0,
)  # fmt: skip
RESUMED = {
    "adamw": (1, dataclasses.replace(PARTS, network="residual", optimizer="adamw")),
    "sgd": (2, dataclasses.replace(PARTS, network="plain", optimizer="sgd", early_stopping=3)),
}


def run_resume(dataset: Path, folder: Path) -> None:
    strategies.replicas(2)
    tf.config.experimental.enable_op_determinism()
    for name, (count, recipe) in RESUMED.items():
        strategy = tf.distribute.MirroredStrategy([f"/cpu:{index}" for index in range(count)])
        resume(dataset, folder / name, recipe, strategy)


def resume(dataset: Path, folder: Path, recipe: Recipe, strategy: tf.distribute.Strategy) -> None:
    straight = trainer(dataset, recipe, strategy, folder / "straight")
    straight.run()
    save(folder / "straight.npz", straight)

    # A checkpoint after every other step.
    training._CHECK_EVERY, training._CHECKPOINT_SECONDS = 2, -1.0
    stopped = trainer(dataset, recipe, strategy, folder / "resumed")
    record = stopped._record

    def stop_at_eight(group: training.Group) -> None:
        if stopped.step >= 8:
            raise StoppedError
        record(group)

    stopped._record = stop_at_eight
    try:
        stopped.run()
    except StoppedError:
        print("stopped after step", stopped.step)
    resumed = trainer(dataset, recipe, strategy, folder / "resumed")
    resumed.run()
    save(folder / "resumed.npz", resumed)


if __name__ == "__main__":
    name, root, out, *rest = sys.argv[1:]
    run = {"replicas": run_replicas, "resume": run_resume}[name]
    run(Path(root), Path(out), *map(int, rest))

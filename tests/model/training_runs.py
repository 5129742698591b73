"""Training runs in a process of their own, since devices and determinism are set once there.

python -m tests.model.training_runs DATASET FOLDER [replicas] [NAME OF RESUMED ...]
"""

import dataclasses
import functools
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from facemill.model.data import validation_pairs
from facemill.model.data.vocabulary import Transform
from facemill.model.networks import registry as networks
from facemill.model.networks.layers import convolution, normalized
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


@functools.cache
def strategy_of(count: int) -> tf.distribute.Strategy:
    """One for each count, since two strategies of a process would mix up their sums."""
    return tf.distribute.MirroredStrategy([f"/cpu:{index}" for index in range(count)])


# Each image's result depends on that image alone: no BatchNorm, no dropout.
WHOLE = Recipe(
    network="plain", head="arcface", embedding_size=32, scale=16.0, steps=20, batch_size=12,
    learning_rate=0.02, warmup_epochs=1.0, clip_norm=2.0, weight_decay=0.05, erase=0.3,
)  # fmt: skip


def run_replicas(dataset: Path, folder: Path) -> None:
    parts = dataclasses.replace(WHOLE, accumulate=3, ema=0.9)
    # Parts on one replica, and averages on two, are compared in `tests.model.training.matrix`.
    for name, count, recipe in (("one", 1, WHOLE), ("two", 2, WHOLE), ("parts", 2, parts)):
        trained = trainer(dataset, recipe, strategy_of(count), folder / name)
        trained.run()
        save(folder / f"{name}.npz", trained)


# Margin and scale are still rising where the run is resumed.
PARTS = Recipe(
    embedding_size=16, margin=0.2, steps=9, batch_size=12, learning_rate=1e-3, ema=0.9,
    accumulate=2, margin_warmup_epochs=2.0, scale_warmup_epochs=2.0,
)  # fmt: skip
ADAMW = dataclasses.replace(PARTS, optimizer="adamw")
SGD = dataclasses.replace(PARTS, network="plain", optimizer="sgd", early_stopping=3)
# The replicas and the recipe of each. The first has every kind of state: dropout, BatchNorm, two
# moments of each weight, the average, best weights; in parts of batches, on two replicas.
EVERY_STATE = "every state"
RESUMED = {
    EVERY_STATE: (2, dataclasses.replace(ADAMW, early_stopping=3)),
    "residual": (1, dataclasses.replace(ADAMW, network="residual")),
    "sgd": (2, SGD),
}


def small(*_: object, **__: object) -> keras.Model:
    """A network with BatchNorm and dropout whose graph takes two seconds, not twenty."""
    inputs = keras.Input((tiny.SIZE, tiny.SIZE, 3))
    x = keras.layers.Flatten()(convolution(inputs, 8, strides=4))
    x = keras.layers.Dense(16, use_bias=False)(keras.layers.Dropout(0.4)(x))
    return keras.Model(inputs, normalized(x, activation=False))


def resume(dataset: Path, folder: Path, recipe: Recipe, strategy: tf.distribute.Strategy) -> None:
    straight = trainer(dataset, recipe, strategy, folder / "straight")
    straight.run()
    save(folder / "straight.npz", straight)

    # A checkpoint after every other step.
    usual = training._CHECK_EVERY, training._CHECKPOINT_SECONDS
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
    training._CHECK_EVERY, training._CHECKPOINT_SECONDS = usual


def main(dataset: Path, folder: Path, names: list[str]) -> None:
    strategies.replicas(2)
    tf.config.experimental.enable_op_determinism()
    for name in names:
        if name == "replicas":
            run_replicas(dataset, folder)
        else:
            count, recipe = RESUMED[name]
            if name == EVERY_STATE:
                networks.build = small
            resume(dataset, folder / name, recipe, strategy_of(count))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

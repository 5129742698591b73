"""How much of a training run is not its steps: input, validation, checkpoints.

Prints in one run: bare decoding and the input pipeline (`benchmarks.train_input`); a step on one
cached batch, a step with the pipeline, and the whole epoch with validation and checkpoints, all by
one trainer in this process. CPU time counts; only the ratios carry over to other machines.

    python -m benchmarks.train [DATASET]
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any
from unittest import mock

import tensorflow as tf

from benchmarks.train_input import RECIPES, make_dataset, measure, seconds
from facemill.model.data import tfdata, validation_pairs
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.trainer import Data, Trainer
from facemill.transforms.dataset import artifact

_PAIRS = 40


def steps(dataset: str) -> None:
    """Prints images per second of CPU of the three kinds of an epoch."""
    recipe = Recipe(epochs=4, batch_size=64, validation_pairs=_PAIRS)
    manifest = artifact.read_manifest(dataset, "dataset")
    transform = Transform(dataset, manifest)
    pairs = validation_pairs.draw(dataset, manifest, _PAIRS, recipe.seed)
    per_epoch = tfdata.steps_per_epoch(manifest, recipe.batch_size)
    (batch,) = tfdata.batches(dataset, manifest, transform, recipe, 0).take(1)

    def cached(*_: Any) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(batch).repeat(per_epoch)

    with tempfile.TemporaryDirectory() as folder:
        data = Data(dataset, manifest, transform, pairs)
        strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
        trainer = Trainer(data, recipe, strategy, folder, folder)

        def epoch(number: int) -> None:
            for _ in trainer._steps_of(number, 0):
                pass

        with mock.patch.object(tfdata, "batches", cached):
            # The first epoch builds the graph.
            epoch(0)
            bare = seconds(lambda: epoch(1))
        with_input = seconds(lambda: epoch(2))
        whole = seconds(trainer.run)
    images = per_epoch * recipe.batch_size
    print(f"{per_epoch} steps of {recipe.batch_size} images, {recipe.network}, {recipe.head}")
    for name, cpu, ratio in (
        ("steps on one cached batch", bare, 1.0),
        ("steps with the pipeline", with_input, bare / with_input),
        ("with validation and checkpoints", whole, with_input / whole),
    ):
        print(f"{name:<36} {images / cpu:7,.1f} images/s of CPU, {ratio:.3f} of the line before")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        dataset = sys.argv[1] if len(sys.argv) > 1 else make_dataset(folder, 45)
        measure(dataset, {name: RECIPES[name] for name in ("no augmentation", "default recipe")})
        steps(dataset)


if __name__ == "__main__":
    main()

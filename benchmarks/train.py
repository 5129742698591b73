"""How much of a training run is not its steps: input, validation, checkpoints.

Prints in one run: bare decoding and the input pipeline (`benchmarks.train_input`); a step on one
cached batch and a step with the pipeline, by turns; and the whole epoch with validation and
checkpoints, all by one trainer in this process. CPU time counts, so that what else runs on the
machine matters little; only the ratios carry over to other machines.

    python -m benchmarks.train [DATASET] [--images 500] [--network mobilefacenet]
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from typing import Any

import tensorflow as tf

from benchmarks.train_input import RECIPES, make_dataset, measure, seconds
from facemill.model.data import tfdata, validation_pairs
from facemill.model.data.shard_files import shard_paths
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.choices import NETWORKS
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.trainer import Data, Trainer
from facemill.transforms.dataset import artifact

_BATCH = 32
_TURNS, _STEPS_OF_A_TURN = 5, 2
# Images of validation by those of training, as `ingest --split train=0.95,val=0.05` gives.
_VALIDATION_SHARE = 0.05
# The pipeline rests when the process takes less CPU time than this in a second.
_IDLE_SECONDS = 0.005


def steps(dataset: str, manifest: dict[str, Any], network: str) -> None:
    """Prints images per second of CPU of a step, a step with its input, and an epoch."""
    transform = Transform(dataset, manifest)
    count = tfdata.steps_per_epoch(manifest, _BATCH) * _BATCH
    # Each pair of one identity names two images.
    recipe = Recipe(
        network=network,
        epochs=1,
        batch_size=_BATCH,
        validation_pairs=math.ceil(count * _VALIDATION_SHARE / 2),
    )
    pairs = validation_pairs.draw(dataset, manifest, recipe.validation_pairs, recipe.seed)
    # An endless epoch: its buffers are full whenever a turn ends.
    batches = tfdata.batches(dataset, manifest, transform, recipe, 0).repeat()
    with tempfile.TemporaryDirectory() as folder:
        data = Data(dataset, manifest, transform, pairs)
        strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
        trainer = Trainer(data, recipe, strategy, folder, folder)
        each = iter(batches)
        batch = next(each)
        # Graphs are built here, and buffers filled.
        trainer._train(*batch)
        trainer._check_weights()
        if pairs is not None:
            trainer.embed(pairs.encoded)
        _settle()
        bare = with_input = 0.0

        def cached() -> None:
            for _ in range(_STEPS_OF_A_TURN):
                trainer._train(*batch)[0].numpy()

        def fed() -> None:
            for _ in range(_STEPS_OF_A_TURN):
                trainer._train(*next(each))[0].numpy()
            # What the turn took out of the buffers is read again.
            _settle()

        for _ in range(_TURNS):
            bare += seconds(cached)
            with_input += seconds(fed)
        trainer._step.done.assign(0)
        whole = seconds(trainer.run)
    of_turns = _TURNS * _STEPS_OF_A_TURN * _BATCH
    bare, with_input, whole = bare / of_turns, with_input / of_turns, whole / count
    shown = 0 if pairs is None else len(pairs.encoded)
    print(f"{network}, {recipe.head}, batches of {_BATCH}; {of_turns} images by turns")
    print(f"an epoch of {count} images, {shown} images of validation, one checkpoint")
    for name, cpu, ratio in (
        ("step on one cached batch", bare, 1.0),
        ("step with the pipeline", with_input, bare / with_input),
        ("epoch with all", whole, with_input / whole),
    ):
        print(f"{name:<36} {1 / cpu:7,.1f} images/s of CPU, {ratio:.3f} of the line before")


def _settle() -> None:
    """Waits until no thread of this process works."""
    while True:
        before = time.process_time()
        time.sleep(1.0)
        if time.process_time() - before < _IDLE_SECONDS:
            return


def some_shards(dataset: str, manifest: dict[str, Any], images: int) -> dict[str, Any]:
    """A manifest whose train split has the first shards alone, with `images` or more in all."""
    train = manifest["splits"]["train"]
    shards: list[str] = []
    records = 0
    for shard in train["shards"]:
        if records >= images:
            break
        paths = shard_paths(dataset, manifest, [shard])
        records += sum(1 for _ in tf.data.TFRecordDataset(paths))
        shards.append(shard)
    splits = manifest["splits"] | {"train": train | {"shards": shards, "records": records}}
    return manifest | {"splits": splits}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", nargs="?", help="a dataset of 112 px; drawn faces if left out")
    parser.add_argument("--images", type=int, default=500, help="to train on, in whole shards")
    parser.add_argument("--network", default=Recipe.network, choices=NETWORKS)
    arguments = parser.parse_args()
    # As `facemill train` sets it.
    tf.config.experimental.enable_op_determinism()
    with tempfile.TemporaryDirectory() as folder:
        dataset = arguments.dataset or make_dataset(folder, 45)
        manifest = artifact.read_manifest(dataset, "dataset")
        manifest = some_shards(dataset, manifest, arguments.images)
        recipes = {name: RECIPES[name] for name in ("no augmentation", "default recipe")}
        measure(dataset, recipes, manifest)
        steps(dataset, manifest, arguments.network)


if __name__ == "__main__":
    main()

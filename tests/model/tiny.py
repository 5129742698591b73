"""A dataset of a few small faces, made once, and variants of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.recipe import Recipe
from tests.pipelines.ingest.ingesting import ingest
from tests.sharing import made_once, run_folder

SIZE = 32


def dataset(factory: pytest.TempPathFactory) -> Path:
    """The dataset; the first test process that asks for it writes it."""

    def make(folder: Path) -> None:
        recipe = Recipe(identities=12, images_per_identity=8, image_size=40, seed=3)
        collection.write(str(folder / "photos"), recipe)
        rules = ("--image-size", SIZE, "--split", "train=0.6,val=0.4", "--seed", 2)
        ingest(folder / "photos" / "images", folder / "dataset", *rules)

    return made_once(run_folder(factory), "model_dataset", make) / "dataset"


def manifest(path: Path) -> dict:
    return json.loads((path / "manifest.json").read_bytes())


def records(path: Path, split: str) -> list[tf.train.Example]:
    shards = [str(path / name) for name in manifest(path)["splits"][split]["shards"]]
    return [tf.train.Example.FromString(one.numpy()) for one in tf.data.TFRecordDataset(shards)]


def value(record: tf.train.Example, name: str) -> bytes:
    return record.features.feature[name].bytes_list.value[0]


def identity_of(path: Path, split: str) -> dict[bytes, str]:
    """The identity of each JPEG of a split."""
    return {
        value(record, "image/encoded"): value(record, "identity").decode()
        for record in records(path, split)
    }


def resharded(
    source: Path,
    target: Path,
    shards: int,
    change: Callable[[int, tf.train.Example], None] = lambda index, record: None,
) -> Path:
    """A copy with the train split in `shards` shards; `change` edits record number `index`."""
    shutil.copytree(source, target)
    found = records(source, "train")
    names = [f"train/part-{index:05d}-of-{shards:05d}.tfrecord" for index in range(shards)]
    writers = [tf.io.TFRecordWriter(str(target / name)) for name in names]
    for index, record in enumerate(found):
        change(index, record)
        writers[index % shards].write(record.SerializeToString())
    for writer in writers:
        writer.close()
    described = manifest(source)
    described["splits"]["train"]["shards"] = names
    (target / "manifest.json").write_text(json.dumps(described))
    return target

"""A dataset of a few small faces, made once, and variants of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from tests.commands import facemill
from tests.sharing import made_once, run_folder

SIZE = 32


def dataset(factory: pytest.TempPathFactory) -> Path:
    """The dataset; the first test process that asks for it runs `facemill` to write it."""

    def make(folder: Path) -> None:
        drawn = ("--identities", 12, "--images-per-identity", 8, "--image-size", 40, "--workers", 1)
        facemill("synthesize", "--output", folder / "photos", "--seed", 3, *drawn)
        rules = ("--image-size", SIZE, "--split", "train=0.6,val=0.4", "--seed", 2)
        read = ("--input", folder / "photos" / "images")
        facemill("ingest", *read, "--output", folder / "dataset", *rules)

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

"""The input pipeline of training against the bare decoding of its JPEGs.

The bare limit: two Python threads decode the JPEGs by the decoder of the pipeline, and nothing
else. The pipeline reads records, shuffles, parses, decodes, augments and labels, at 112 px. CPU
time counts, by turns, the least of some rounds; only the ratios carry over to other machines.

    python -m benchmarks.train_input [DATASET]
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from facemill.model.data import tfdata
from facemill.model.data.shard_files import shard_paths
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.recipe import Recipe
from facemill.pipelines import cli
from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.recipe import Recipe as Faces
from facemill.transforms.dataset import artifact

ROUNDS = 3
PLAIN = Recipe(flip=False, crop=0.0, color_jitter=0.0)
# What is measured beside the default recipe.
RECIPES = {
    "no augmentation": PLAIN,
    "default recipe": Recipe(),
    "rotation": dataclasses.replace(PLAIN, rotate=15.0),
    "hue, saturation": dataclasses.replace(PLAIN, hue=0.05, saturation=0.3),
    "blur": dataclasses.replace(PLAIN, blur=1.5),
    "low resolution": dataclasses.replace(PLAIN, low_resolution=0.7),
    "JPEG": dataclasses.replace(PLAIN, jpeg_quality=30),
    "RandAugment of 2": dataclasses.replace(PLAIN, rand_augment=2),
    "default, 4 images of each identity": Recipe(images_per_identity=4),
}


def make_dataset(folder: str, identities: int = 60, images: int = 20) -> str:
    """A dataset of synthetic faces at 112 px."""
    faces = Faces(identities=identities, images_per_identity=images, image_size=128, seed=3)
    collection.write(os.path.join(folder, "photos"), faces)
    output = os.path.join(folder, "dataset")
    photos = os.path.join(folder, "photos", "images")
    flags = ["--image-size", "112", "--dedup", "off", "--workers", "1"]
    split = ["--split", "train=0.85,val=0.15"]
    if cli.main(["ingest", "--input", photos, "--output", output, *flags, *split]):
        raise SystemExit("the dataset was not written")
    return output


def jpegs(dataset: str, manifest: dict[str, Any]) -> list[bytes]:
    """The JPEGs of the train split."""
    paths = shard_paths(dataset, manifest, manifest["splits"]["train"]["shards"])
    return [
        tf.train.Example.FromString(record.numpy()).features.feature["image/encoded"]
        .bytes_list.value[0]
        for record in tf.data.TFRecordDataset(paths)
    ]  # fmt: skip


def decode_bare(encoded: list[bytes]) -> None:
    """Decodes in two threads."""

    def some(part: list[bytes]) -> None:
        for one in part:
            tf.io.decode_jpeg(one, channels=3, dct_method="INTEGER_ACCURATE")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(some, (encoded[::2], encoded[1::2])))


def read_epoch(dataset: str, manifest: dict[str, Any], recipe: Recipe) -> Callable[[], None]:
    """What reads an epoch through the pipeline, whose graph is built here.

    In a run each epoch builds it anew, in some tenths of a second for any number of images.
    """
    transform = Transform(dataset, manifest)
    batches = tfdata.batches(dataset, manifest, transform, recipe, 0)

    def read() -> None:
        for _ in batches:
            pass

    return read


def seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, of all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(
    dataset: str, recipes: dict[str, Recipe], manifest: dict[str, Any] | None = None
) -> float:
    """Prints images per second of CPU; returns the ratio of the default recipe."""
    manifest = manifest or artifact.read_manifest(dataset, "dataset")
    encoded = jpegs(dataset, manifest)
    works: dict[str, Callable[[], object]] = {"bare decoding": lambda: decode_bare(encoded)}
    works |= {name: read_epoch(dataset, manifest, recipe) for name, recipe in recipes.items()}
    for work in works.values():
        work()
    least = {name: float("inf") for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            least[name] = min(least[name], seconds(work))
    size = sum(map(len, encoded)) / len(encoded)
    print(f"{len(encoded):,} images of 112 x 112, {size:,.0f} bytes each")
    for name, cpu in least.items():
        ratio = least["bare decoding"] / cpu
        each = 1e6 * cpu / len(encoded)
        print(
            f"{name:<36} {len(encoded) / cpu:7,.0f} images/s of CPU, {each:5,.0f} us, {ratio:.2f}"
        )
    return least["bare decoding"] / least["default recipe"]


def main() -> None:
    if len(sys.argv) > 1:
        measure(sys.argv[1], RECIPES)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(make_dataset(folder), RECIPES)


if __name__ == "__main__":
    main()

"""A few training images beside their augmented versions, for the training report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.model.data import tfdata
from facemill.model.data.augmentation.augment import augment
from facemill.model.data.augmentation.draws import draw
from facemill.model.data.shard_files import shard_paths
from facemill.model.recipes.recipe import Recipe

IMAGES = 6
EPOCHS = 6
# At most this many records are read to find images of different identities.
_RECORDS = 256


@dataclass(frozen=True)
class Example:
    """One record of the train split.

    Attributes:
        image_id: its key.
        stored: uint8 [S, S, 3], the image in the dataset.
        augmented: uint8 [E, S, S, 3], the inputs of the network in the first E epochs.
    """

    image_id: str
    stored: np.ndarray
    augmented: np.ndarray


def read(
    dataset: str,
    manifest: Mapping[str, Any],
    recipe: Recipe,
    images: int = IMAGES,
    epochs: int = EPOCHS,
) -> list[Example]:
    """The first records of the first train shard that show different identities.

    Ingest orders records by hash, so these are a sample of the split, and the same in every run.
    They are augmented by the function and with the random numbers that training uses for them.

    Args:
        dataset: its path or URL.
        manifest: its manifest.
        recipe: its augmentation and seed are used.
        images: how many examples, at most.
        epochs: how many epochs.
    """
    size = manifest["options"]["image_size"]
    shard = min(manifest["splits"]["train"]["shards"])
    found: list[Example] = []
    identities: set[bytes] = set()
    for record in tf.data.TFRecordDataset(shard_paths(dataset, manifest, [shard])).take(_RECORDS):
        parsed = tfdata.parse(record, size, with_weight=False)
        identity = parsed.identity.numpy()
        if identity in identities:
            continue
        identities.add(identity)
        seeds = [tfdata.epoch_seed(recipe.seed, epoch) for epoch in range(epochs)]
        draws = tf.stack([draw(seed, parsed.image_id, parsed.copy, recipe) for seed in seeds])
        stored = tf.repeat(parsed.pixels[tf.newaxis], epochs, axis=0)
        changed = np.rint(augment(stored, recipe, draws).numpy()).astype(np.uint8)
        image_id = parsed.image_id.numpy().decode("utf-8")
        found.append(Example(image_id, parsed.pixels.numpy(), changed))
        if len(found) == images:
            break
    return found

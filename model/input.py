"""Batches of training images from a dataset's shards, in an order that depends on the seed alone.

Records are read as streams and shuffled in a buffer, so memory does not grow with the dataset.
Which shard a record is in and its place there were drawn by hash when the dataset was written, so
a buffer of some thousands mixes it well.
"""

import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from model.augment import augment
from model.recipe import Recipe
from model.transform import Transform
from transforms.keyed import keyed_hash
from transforms.records import ENCODED, IDENTITY, WEIGHT

_SHUFFLE_BUFFER = 16_384
_STREAMS = 8


def steps_per_epoch(manifest: dict[str, Any], batch_size: int) -> int:
    """Whole batches in the train split; 0 if it has fewer records than one batch."""
    return manifest["splits"]["train"]["records"] // batch_size


def weighted(manifest: dict[str, Any]) -> bool:
    """Whether the records carry weights: a rule of balance gave them."""
    rules = manifest["options"].get("balance", ())
    return any(rule["kind"] == "effective-number" for rule in rules)


def batches(
    dataset: str,
    manifest: dict[str, Any],
    transform: Transform,
    recipe: Recipe,
    epoch: int,
    first: int = 0,
) -> tf.data.Dataset:
    """The batches of one epoch; a last one that is not full is left out.

    Args:
        dataset: path of the dataset.
        manifest: its manifest.
        transform: its transform.
        recipe: batch size, augmentation and seed count.
        epoch: from 0 on; each has its own order and its own augmentation.
        first: place in the epoch of the first batch wanted; those before it are not decoded.

    Returns:
        (pixels float32 [B, S, S, 3] in [0, 255], labels int64 [B], weights float32 [B], by which
        each image's loss is multiplied: 1 where the dataset has none).
    """
    size = manifest["options"]["image_size"]
    seed = keyed_hash(recipe.seed, "epoch", str(epoch)) % (1 << 31)
    paths = sorted(
        manifest["splits"]["train"]["shards"],
        key=lambda name: keyed_hash(recipe.seed, f"shards {epoch}", name),
    )
    records = (
        tf.data.Dataset.from_tensor_slices([os.path.join(dataset, name) for name in paths])
        .interleave(
            tf.data.TFRecordDataset, cycle_length=_STREAMS, num_parallel_calls=1, deterministic=True
        )
        .shuffle(_SHUFFLE_BUFFER, seed=seed, reshuffle_each_iteration=False)
        .skip(first * recipe.batch_size)
    )

    with_weights = weighted(manifest)

    def prepare(place: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tuple:
        pixels, identities, weights = batch
        images = augment(pixels, recipe, tf.stack([tf.constant(seed, tf.int64), place]))
        return images, transform.labels(identities), weights

    return (
        records.map(
            lambda record: parse(record, size, with_weights), tf.data.AUTOTUNE, deterministic=True
        )
        .batch(recipe.batch_size, drop_remainder=True)
        .enumerate(first)
        .map(prepare, tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def parse(record: tf.Tensor, size: int, with_weight: bool) -> tuple[tf.Tensor, ...]:
    """One record.

    Args:
        record: string [].
        size: side in pixels.
        with_weight: whether it must have a weight.

    Returns:
        (pixels uint8 [size, size, 3], identity string [], weight float32 []).
    """
    schema = {
        ENCODED: tf.io.FixedLenFeature([], tf.string),
        IDENTITY: tf.io.FixedLenFeature([], tf.string),
    }
    if with_weight:
        schema[WEIGHT] = tf.io.FixedLenFeature([], tf.float32)
    features = tf.io.parse_single_example(record, schema)
    weight = features[WEIGHT] if with_weight else tf.constant(1.0)
    return decode(features[ENCODED], size), features[IDENTITY], weight


def decode(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """Pixels of a standardized JPEG, by the decoder that serving uses too.

    Args:
        encoded: string [].
        size: side in pixels.

    Returns:
        uint8 [size, size, 3].
    """
    pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.ensure_shape(pixels, [size, size, 3])


def images(encoded: Sequence[bytes], size: int, batch_size: int = 64) -> tf.data.Dataset:
    """Decoded images in their order: uint8 [up to batch_size, size, size, 3]."""
    return (
        tf.data.Dataset.from_tensor_slices(list(encoded))
        .map(lambda one: decode(one, size), tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )

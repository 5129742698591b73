"""Batches of training images from a dataset's shards, in an order that depends on the seed alone.

Records are read as streams and shuffled in a buffer, so memory does not grow with the dataset.
Which shard a record is in and its place there were drawn by hash when the dataset was written, so
a buffer of some thousands mixes it well.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from facemill.model.data.augment import augment, draw
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset.records import (
    AUGMENTATION_SEED,
    ENCODED,
    IDENTITY,
    IMAGE_ID,
    WEIGHT,
)
from facemill.transforms.selection.rules import give_weights

_SHUFFLE_BUFFER = 16_384
_STREAMS = 8
_BATCHES_AHEAD = 4


def steps_per_epoch(manifest: dict[str, Any], batch_size: int) -> int:
    """Whole batches in the train split; 0 if it has fewer records than one batch."""
    return manifest["splits"]["train"]["records"] // batch_size


def weighted(manifest: dict[str, Any]) -> bool:
    """Whether the records carry weights: a rule of balance gave them."""
    rules = manifest["options"].get("balance", ())
    return give_weights(rule["kind"] for rule in rules)


def epoch_seed(recipe: Recipe, epoch: int) -> int:
    """The seed of one epoch, in [0, 2**31), see `augment.draw`."""
    return keyed_hash(recipe.seed, "epoch", str(epoch)) % (1 << 31)


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
        epoch: from 0 on; each has its own order, and augments each record in its own way.
        first: place in the epoch of the first batch wanted; those before it are not decoded.

    Returns:
        (pixels float32 [B, S, S, 3] in [0, 255], labels int64 [B], weights float32 [B], by which
        each image's loss is multiplied: 1 where the dataset has none).
    """
    size = manifest["options"]["image_size"]
    seed = epoch_seed(recipe, epoch)
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

    def read(record: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = parse(record, size, with_weights)
        draws = draw(seed, parsed.image_id, parsed.copy)
        return parsed.pixels, parsed.identity, parsed.weight, draws

    def prepare(
        pixels: tf.Tensor, identities: tf.Tensor, weights: tf.Tensor, draws: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        return augment(pixels, recipe, draws), transform.labels(identities), weights

    return (
        records.map(read, tf.data.AUTOTUNE, deterministic=True)
        .batch(recipe.batch_size, drop_remainder=True)
        .map(prepare, tf.data.AUTOTUNE, deterministic=True)
        .prefetch(_BATCHES_AHEAD)
        .with_options(_untuned())
    )


def _untuned() -> tf.data.Options:
    """Without the thread that tunes a pipeline.

    It sleeps for up to a minute, and closing the iterator at the end of an epoch waits for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


class Parsed(NamedTuple):
    """One record.

    Attributes:
        pixels: uint8 [size, size, 3].
        image_id: string [].
        identity: string [].
        copy: int64 [], which copy of the image it is: 0 unless a rule of balance made others.
        weight: float32 [], 1 without one.
    """

    pixels: tf.Tensor
    image_id: tf.Tensor
    identity: tf.Tensor
    copy: tf.Tensor
    weight: tf.Tensor


def parse(record: tf.Tensor, size: int, with_weight: bool) -> Parsed:
    """One record.

    Args:
        record: string [].
        size: side in pixels.
        with_weight: whether it must have a weight.
    """
    schema = {
        ENCODED: tf.io.FixedLenFeature([], tf.string),
        IMAGE_ID: tf.io.FixedLenFeature([], tf.string),
        IDENTITY: tf.io.FixedLenFeature([], tf.string),
        AUGMENTATION_SEED: tf.io.FixedLenFeature([], tf.int64, default_value=0),
    }
    if with_weight:
        schema[WEIGHT] = tf.io.FixedLenFeature([], tf.float32)
    features = tf.io.parse_single_example(record, schema)
    return Parsed(
        pixels=decode(features[ENCODED], size),
        image_id=features[IMAGE_ID],
        identity=features[IDENTITY],
        copy=features[AUGMENTATION_SEED],
        weight=features[WEIGHT] if with_weight else tf.constant(1.0),
    )


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
        .prefetch(_BATCHES_AHEAD)
        .with_options(_untuned())
    )

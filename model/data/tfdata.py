"""Batches of training images from a dataset's shards, in an order that depends on the seed alone.

Records are read as streams and shuffled in a buffer, so memory does not grow with the dataset.
Ingest drew each record's shard and position by hash, so a buffer of some thousands mixes them well.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from facemill.model.data import balanced_batches
from facemill.model.data.augmentation.augment import augment
from facemill.model.data.augmentation.draws import draw
from facemill.model.data.shard_files import shard_paths
from facemill.model.data.shares import share
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

SHUFFLE_BUFFER = 16_384
_STREAMS = 8
_PREFETCHED_BATCHES = 4
# More than the copies of an image that a balance rule of ingest writes.
_COPIES = 1 << 32
# How often an epoch has shown an image before, where it shows none twice.
_NEVER = np.int64(0)


def steps_per_epoch(manifest: dict[str, Any], batch_size: int) -> int:
    """Full batches in the train split; 0 if it has fewer records than one batch."""
    return manifest["splits"]["train"]["records"] // batch_size


def weighted(manifest: dict[str, Any]) -> bool:
    """Whether the records carry weights, which a balance rule sets."""
    rules = manifest["options"].get("balance", ())
    return give_weights(rule["kind"] for rule in rules)


def batches(
    dataset: str,
    manifest: dict[str, Any],
    transform: Transform,
    recipe: Recipe,
    epoch: int,
    first: int = 0,
    worker: int = 0,
    workers: int = 1,
) -> tf.data.Dataset:
    """The full batches of one epoch; the remainder is left out.

    Args:
        dataset: path of the dataset.
        manifest: its manifest.
        transform: its transform.
        recipe: its batch size, augmentation, order and seed are used.
        epoch: from 0 on; each epoch has its own order and its own augmentation of each record.
        first: index in the epoch of the first batch to return; earlier ones are not decoded.
        worker: index of the worker that reads, from 0 on.
        workers: number of workers, each of which gets its share of every batch, see `shares`.

    Returns:
        (pixels float32 [B, S, S, 3] in [0, 255], labels int64 [B], weights float32 [B]), where B
        is the batch size by the number of workers. Each image's loss is multiplied by its weight,
        which is 1 if the dataset has no weights.

    Raises:
        ParameterError: the batch cannot be divided as the recipe or the workers ask.
        RunError: the index does not fit the dataset.
    """
    size = manifest["options"]["image_size"]
    seed = epoch_seed(recipe.seed, epoch)
    own = share(recipe.batch_size, worker, workers)
    in_order = recipe.order == "deterministic"
    with_weights = weighted(manifest)

    def read(record: tf.Tensor, repeat: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = parse(record, size, with_weights)
        draws = draw(seed, parsed.image_id, parsed.copy + repeat * _COPIES, recipe)
        return parsed.pixels, parsed.identity, parsed.weight, draws

    def prepare(
        pixels: tf.Tensor, identities: tf.Tensor, weights: tf.Tensor, draws: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        labels = transform.labels(identities)
        # Heads differ in what they do with a label of nobody; none may train on it.
        known = tf.debugging.assert_non_negative(labels, "an identity is not in the vocabulary")
        with tf.control_dependencies([known]):
            return augment(pixels, recipe, draws), tf.identity(labels), weights

    if recipe.images_per_identity:
        steps = range(first, steps_per_epoch(manifest, recipe.batch_size))
        records = balanced_batches.records(
            balanced_batches.of(dataset, manifest, transform, recipe), epoch, steps, own
        )
    else:
        shards = manifest["splits"]["train"]["shards"]
        plain = shuffled_records(dataset, manifest, shards, recipe.seed, epoch).skip(
            first * recipe.batch_size
        )
        if workers > 1:
            plain = plain.batch(recipe.batch_size, drop_remainder=True)
            plain = plain.map(lambda batch: batch[own]).unbatch()
        records = tf.data.Dataset.zip(plain, tf.data.Dataset.from_tensors(_NEVER).repeat())
    return (
        records.map(read, tf.data.AUTOTUNE, deterministic=in_order)
        .batch(own.stop - own.start, drop_remainder=True)
        .map(prepare, tf.data.AUTOTUNE, deterministic=in_order)
        .prefetch(_PREFETCHED_BATCHES)
        .with_options(without_autotuning())
    )


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of an epoch's draws, in [0, 2**31)."""
    return keyed_hash(seed, "epoch", str(epoch)) % (1 << 31)


def shuffled_records(
    dataset: str,
    manifest: Mapping[str, Any],
    shards: Sequence[str],
    seed: int,
    epoch: int = 0,
) -> tf.data.Dataset:
    """The records of some shards, string [], in an order that depends on seed and epoch alone.

    Args:
        dataset: path or URL of the dataset.
        manifest: its manifest.
        shards: relative to it; one or more.
        seed: any non-negative integer.
        epoch: from 0 on; each has its own order.
    """
    names = sorted(shards, key=lambda name: keyed_hash(seed, f"shards {epoch}", name))
    return (
        shard_paths(dataset, manifest, names)
        .interleave(
            tf.data.TFRecordDataset, cycle_length=_STREAMS, num_parallel_calls=1, deterministic=True
        )
        .shuffle(SHUFFLE_BUFFER, seed=epoch_seed(seed, epoch), reshuffle_each_iteration=False)
    )


def without_autotuning() -> tf.data.Options:
    """Options that switch off tf.data's autotuning thread.

    That thread sleeps for up to a minute, and closing an iterator waits for it.
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
        copy: int64 [], number of the copy of the image: 0 unless a balance rule oversampled it.
        weight: float32 [], 1 if the record has none.
    """

    pixels: tf.Tensor
    image_id: tf.Tensor
    identity: tf.Tensor
    copy: tf.Tensor
    weight: tf.Tensor


def parse(record: tf.Tensor, size: int, with_weight: bool) -> Parsed:
    """Parses and decodes one record.

    Args:
        record: string [].
        size: side in pixels.
        with_weight: whether the record must have a weight.
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
    """Pixels of a record's JPEG, by the decoder of the exported model.

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
        .prefetch(_PREFETCHED_BATCHES)
        .with_options(without_autotuning())
    )

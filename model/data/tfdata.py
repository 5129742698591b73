"""Batches of training images from a dataset's shards, in an order that depends on the seed alone.

Records are read as streams and shuffled in a buffer, so memory does not grow with the dataset.
Ingest drew each record's shard and position by hash, so a buffer of some thousands mixes them well.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from facemill.model.data import balanced_batches
from facemill.model.data.augmentation import draws as random_draws
from facemill.model.data.augmentation import geometry
from facemill.model.data.augmentation.augment import augment
from facemill.model.data.collection import Collection, Labels
from facemill.model.data.mixing import proportional_order
from facemill.model.data.shard_files import shard_paths
from facemill.model.data.shares import share
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

# For functions that tf.data traces, none of which has Python's `if` or loops over tensors. Without
# it TensorFlow looks for them, and rewrites the source, at the start of every run.
as_written = tf.autograph.experimental.do_not_convert

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


def weighted(manifest: Mapping[str, Any]) -> bool:
    """Whether the records carry weights, which a balance rule sets."""
    rules = manifest["options"].get("balance", ())
    return give_weights(rule["kind"] for rule in rules)


def batches(
    dataset: str,
    manifest: dict[str, Any],
    transform: Labels,
    recipe: Recipe,
    epoch: int,
    first: int = 0,
    worker: int = 0,
    workers: int = 1,
    targets: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> tf.data.Dataset:
    """The full batches of one epoch; the remainder is left out.

    Args:
        dataset: path of the dataset; of a collection it is not read.
        manifest: its manifest, or the collection's.
        transform: its transform, or a collection of datasets.
        recipe: its batch size, augmentation, order and seed are used.
        epoch: from 0 on; each epoch has its own order and its own augmentation of each record.
        first: index in the epoch of the first batch to return; earlier ones are not decoded.
        worker: index of the worker that reads, from 0 on.
        workers: number of workers, each of which gets its share of every batch, see `shares`.
        targets: from image ids, string [N], and which are mirrored, bool [N], to a teacher's
            embeddings, float32 [N, D]; or None.

    Returns:
        (pixels float32 [B, S, S, 3] in [0, 255], labels int64 [B], weights float32 [B]), where B
        is the batch size by the number of workers. Each image's loss is multiplied by its weight,
        which is 1 if the dataset has no weights. With `targets` float32 [B, D] is the fourth.

    Raises:
        ParameterError: the batch cannot be divided as the recipe or the workers ask.
        RunError: the index does not fit the dataset.
    """
    size = manifest["options"]["image_size"]
    seed = epoch_seed(recipe.seed, epoch)
    own = share(recipe.batch_size, worker, workers)
    in_order = recipe.order == "deterministic"
    with_weights = weighted(manifest)
    collection = transform if isinstance(transform, Collection) else None
    # Of several datasets some may have weights; an image without has that of the average.
    may_lack = collection is not None and not all(
        weighted(one.manifest) for one in collection.parts
    )

    @as_written
    def read(record: tf.Tensor, repeat: tf.Tensor, *number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = parse(record, size, with_weights, may_lack)
        copy = parsed.copy + repeat * _COPIES
        draws = random_draws.draw(seed, parsed.image_id, copy, recipe)
        identity = Collection.key(number[0], parsed.identity) if number else parsed.identity
        return parsed.pixels, identity, parsed.weight, draws, parsed.image_id

    @as_written
    def prepare(
        pixels: tf.Tensor,
        identities: tf.Tensor,
        weights: tf.Tensor,
        draws: tf.Tensor,
        image_ids: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        labels = transform.labels(identities)
        # Heads differ in what they do with a label of nobody; none may train on it.
        known = tf.debugging.assert_non_negative(labels, "an identity is not in the vocabulary")
        with tf.control_dependencies([known]):
            batch = augment(pixels, recipe, draws), tf.identity(labels), weights
        if targets is None:
            return batch
        numbers = random_draws.divided(draws, recipe)["flip_and_crop"]
        return *batch, targets(image_ids, geometry.mirrored(recipe.flip, numbers))

    if recipe.images_per_identity:
        steps = range(first, steps_per_epoch(manifest, recipe.batch_size))
        records = balanced_batches.records(
            balanced_batches.of(dataset, manifest, transform, recipe), epoch, steps, own
        )
    else:
        never = tf.data.Dataset.from_tensors(_NEVER).repeat()
        if collection is None:
            shards = manifest["splits"]["train"]["shards"]
            plain = shuffled_records(dataset, manifest, shards, recipe.seed, epoch)
            records = tf.data.Dataset.zip(plain, never)
        else:
            records = shuffled_mixture(collection, recipe.seed, epoch)
        records = records.skip(first * recipe.batch_size)
        if workers > 1:
            records = records.batch(recipe.batch_size, drop_remainder=True)
            own_part = as_written(lambda *batch: tuple(one[own] for one in batch))
            records = records.map(own_part).unbatch()
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
    return _shuffled(_streamed(dataset, manifest, shards, seed, epoch), seed, epoch)


def shuffled_mixture(collection: Collection, seed: int, epoch: int) -> tf.data.Dataset:
    """The train records of several datasets, in an order that depends on seed and epoch alone.

    Records come from each in the shares that they have of the whole, see `mixing`, and are then
    shuffled as those of one dataset are.

    Returns:
        (record string [], 0 int64 [], number of its dataset int64 []).
    """
    with_rest = as_written(lambda record, others: (record, *others))
    streams = []
    for number, part in enumerate(collection.parts):
        shards = part.manifest["splits"]["train"]["shards"]
        rest = tf.data.Dataset.from_tensors((_NEVER, np.int64(number))).repeat()
        streamed = _streamed(part.path, part.manifest, shards, seed, epoch)
        streams.append(tf.data.Dataset.zip(streamed, rest).map(with_rest))
    counts = [part.manifest["splits"]["train"]["records"] for part in collection.parts]
    order = tf.data.Dataset.from_generator(
        lambda: proportional_order(counts), output_signature=tf.TensorSpec([None], tf.int64)
    )
    return _shuffled(tf.data.Dataset.choose_from_datasets(streams, order.unbatch()), seed, epoch)


def _streamed(
    dataset: str, manifest: Mapping[str, Any], shards: Sequence[str], seed: int, epoch: int
) -> tf.data.Dataset:
    """The records of some shards, a few shards at a time."""
    names = sorted(shards, key=lambda name: keyed_hash(seed, f"shards {epoch}", name))
    return shard_paths(dataset, manifest, names).interleave(
        as_written(tf.data.TFRecordDataset),
        cycle_length=_STREAMS,
        num_parallel_calls=1,
        deterministic=True,
    )


def _shuffled(records: tf.data.Dataset, seed: int, epoch: int) -> tf.data.Dataset:
    return records.shuffle(
        SHUFFLE_BUFFER, seed=epoch_seed(seed, epoch), reshuffle_each_iteration=False
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


def parse(record: tf.Tensor, size: int, with_weight: bool, may_lack: bool = False) -> Parsed:
    """Parses and decodes one record.

    Args:
        record: string [].
        size: side in pixels.
        with_weight: whether the record has a weight.
        may_lack: whether it may lack it, and is then given 1.
    """
    schema = {
        ENCODED: tf.io.FixedLenFeature([], tf.string),
        IMAGE_ID: tf.io.FixedLenFeature([], tf.string),
        IDENTITY: tf.io.FixedLenFeature([], tf.string),
        AUGMENTATION_SEED: tf.io.FixedLenFeature([], tf.int64, default_value=0),
    }
    if with_weight:
        default = 1.0 if may_lack else None
        schema[WEIGHT] = tf.io.FixedLenFeature([], tf.float32, default_value=default)
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
    decoded = as_written(lambda one: decode(one, size))
    return (
        tf.data.Dataset.from_tensor_slices(list(encoded))
        .map(decoded, tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size)
        .prefetch(_PREFETCHED_BATCHES)
        .with_options(without_autotuning())
    )

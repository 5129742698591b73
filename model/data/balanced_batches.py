"""The records of identity-balanced batches, read one by one from where the index says they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from facemill.model.data import shard_files
from facemill.model.data.balanced_plan import Plan, identities_per_batch
from facemill.model.data.image_rows import ImageRows, Source
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.recipe import Recipe

# The index is read once in a run, not in every epoch.
_rows: WeakKeyDictionary[Transform, ImageRows] = WeakKeyDictionary()


@dataclass(frozen=True)
class Balanced:
    """What identity-balanced batches are made of.

    Attributes:
        rows: where the images are.
        plan: which of them are in which batch.
    """

    rows: ImageRows
    plan: Plan


def of(dataset: str, manifest: Mapping[str, Any], transform: Transform, recipe: Recipe) -> Balanced:
    """The batches that a recipe asks for.

    Args:
        dataset: path or URL of the dataset.
        manifest: its manifest.
        transform: its transform.
        recipe: with `images_per_identity` above 0.

    Raises:
        ParameterError: the batch cannot be divided so.
        RunError: the index does not fit the dataset.
    """
    count = len(transform.identities)
    identities = identities_per_batch(recipe.batch_size, recipe.images_per_identity, count)
    if transform not in _rows:
        names = transform.identities
        _rows[transform] = ImageRows([Source(dataset, manifest, names, np.arange(count))], count)
    rows = _rows[transform]
    return Balanced(rows, Plan(rows.sizes, identities, recipe.images_per_identity, recipe.seed))


def records(balanced: Balanced, epoch: int, steps: Sequence[int], own: slice) -> tf.data.Dataset:
    """The records of some batches, in their order.

    Args:
        balanced: the batches.
        epoch: from 0 on.
        steps: indices of the batches in the epoch.
        own: the part of each batch to read.

    Returns:
        (record string [], how often the epoch has shown the image before int64 []).
    """

    def read() -> Iterator[tuple[list[bytes], np.ndarray]]:
        with shard_files.remembered():
            for step in steps:
                rows, repeats = balanced.plan.batch(epoch, step)
                yield balanced.rows.read(rows[own]), repeats[own]

    each = own.stop - own.start
    signature = (tf.TensorSpec([each], tf.string), tf.TensorSpec([each], tf.int64))
    # Reading of the next batches goes on while these are decoded.
    read_ahead = tf.data.Dataset.from_generator(read, output_signature=signature).prefetch(2)
    return read_ahead.unbatch()

"""The records of identity-balanced batches, read one by one from where the index says they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from facemill.model.data import shard_files
from facemill.model.data.balanced_plan import Plan, identities_per_batch
from facemill.model.data.collection import Collection, Labels
from facemill.model.data.image_rows import ImageRows, Source
from facemill.model.recipes.recipe import Recipe

# The index is read once in a run, not in every epoch.
_rows: WeakKeyDictionary[Labels, ImageRows] = WeakKeyDictionary()


@dataclass(frozen=True)
class Balanced:
    """What identity-balanced batches are made of.

    Attributes:
        rows: where the images are.
        plan: which of them are in which batch.
        numbered: whether records come with the number of their dataset.
    """

    rows: ImageRows
    plan: Plan
    numbered: bool = False


def of(dataset: str, manifest: Mapping[str, Any], transform: Labels, recipe: Recipe) -> Balanced:
    """The batches that a recipe asks for.

    Args:
        dataset: path or URL of the dataset; of a collection it is not read.
        manifest: its manifest.
        transform: its transform, or a collection of datasets.
        recipe: with `images_per_identity` above 0.

    Raises:
        ParameterError: the batch cannot be divided so.
        RunError: the index does not fit the dataset.
    """
    count = len(transform.identities)
    identities = identities_per_batch(recipe.batch_size, recipe.images_per_identity, count)
    several = isinstance(transform, Collection)
    if transform not in _rows:
        sources = (
            transform.sources
            if isinstance(transform, Collection)
            else [Source(dataset, manifest, transform.identities, np.arange(count))]
        )
        _rows[transform] = ImageRows(sources, count)
    rows = _rows[transform]
    plan = Plan(rows.sizes, identities, recipe.images_per_identity, recipe.seed)
    return Balanced(rows, plan, several)


def records(balanced: Balanced, epoch: int, steps: Sequence[int], own: slice) -> tf.data.Dataset:
    """The records of some batches, in their order.

    Args:
        balanced: the batches.
        epoch: from 0 on.
        steps: indices of the batches in the epoch.
        own: the part of each batch to read.

    Returns:
        (record string [], how often the epoch has shown the image before int64 []), and, where
        they are numbered, the number of the record's dataset, int64 [].
    """

    def read() -> Iterator[tuple[Any, ...]]:
        with shard_files.remembered():
            for step in steps:
                rows, repeats = balanced.plan.batch(epoch, step)
                number = (balanced.rows.source_of(rows[own]),) if balanced.numbered else ()
                yield balanced.rows.read(rows[own]), repeats[own], *number

    each = own.stop - own.start
    kinds = (tf.string, tf.int64, tf.int64)[: 3 if balanced.numbered else 2]
    signature = tuple(tf.TensorSpec([each], kind) for kind in kinds)
    # Reading of the next batches goes on while these are decoded.
    read_ahead = tf.data.Dataset.from_generator(read, output_signature=signature).prefetch(2)
    return read_ahead.unbatch()

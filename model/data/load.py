"""A split of a dataset as batches, for any TensorFlow program."""

import os
from typing import Any

import tensorflow as tf

from facemill.model.data import tfdata
from facemill.model.data.shard_files import entries_of, shard_paths
from facemill.model.data.vocabulary import Transform
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact

_PREFETCHED_BATCHES = 4


def load_dataset(
    path: str | os.PathLike[str],
    split: str = "train",
    batch_size: int = 64,
    *,
    shuffle: bool = False,
    seed: int = 0,
    verify: bool = False,
) -> tf.data.Dataset:
    """The images of one split, in batches.

    Each element is a dictionary:

    - `image`: uint8 [B, S, S, 3], RGB, S being the dataset's image size;
    - `label`: int64 [B], the identity's index in the dataset's vocabulary, which lists the
      identities of the train split; -1 for any other identity;
    - `identity`: string [B], "" for an image without identity;
    - `image_id`: string [B];
    - `weight`: float32 [B], by which to multiply the image's loss; present only if the dataset was
      ingested with a balance rule that sets weights.

    The last batch can be smaller than the others; `len` is the number of batches. The order is
    that of the shards, or with `shuffle` one that follows from the seed alone; both are the same
    in every reading.

    Args:
        path: the dataset's directory, or its URL on an object store.
        split: `train`, `val`, `test`, or another split of the dataset (`unlabeled`, `quarantine`).
        batch_size: B, 1 or more.
        shuffle: whether to shuffle the records, in a buffer of 16,384.
        seed: of the shuffling, 0 or more; give each epoch its own.
        verify: whether to compare the split's files with the SHA-256 of the manifest, which reads
            all of them; their presence and sizes are checked in any case.

    Raises:
        UsageError: the path holds no complete dataset, the split has no images, or an argument is
            out of its range.
        RunError: a file of the split is missing or damaged.
    """
    if batch_size < 1 or seed < 0:
        raise UsageError(
            "batch_size must be 1 or more and seed 0 or more, got "
            f"batch_size={batch_size} and seed={seed}; give others."
        )
    root = storage.absolute(os.fspath(path), "path")
    manifest = artifact.read_manifest(root, "dataset")
    shards = _shards(root, manifest, split)
    if verify:
        artifact.local_copy(root, manifest, f"{split}/")
    transform = Transform(root, manifest)
    size = manifest["options"]["image_size"]
    with_weights = tfdata.weighted(manifest)
    count = -(-manifest["splits"][split]["records"] // batch_size)

    @tfdata.as_written
    def read(record: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tfdata.parse(record, size, with_weights)
        found = {
            "image": parsed.pixels,
            "identity": parsed.identity,
            "image_id": parsed.image_id,
        }
        return found | ({"weight": parsed.weight} if with_weights else {})

    @tfdata.as_written
    def label(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return batch | {"label": transform.labels(batch["identity"])}

    if shuffle:
        records = tfdata.shuffled_records(root, manifest, shards, seed)
    else:
        records = tf.data.TFRecordDataset(shard_paths(root, manifest, shards))
    return (
        records.map(read, tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size)
        # Keras can then read the length, and shards with too few records raise an error.
        .apply(tf.data.experimental.assert_cardinality(count))
        .map(label, tf.data.AUTOTUNE, deterministic=True)
        .prefetch(_PREFETCHED_BATCHES)
        .with_options(tfdata.without_autotuning())
    )


def _shards(root: str, manifest: dict[str, Any], split: str) -> list[str]:
    """The shards of a split, relative to the dataset; all exist and have their listed sizes."""
    filled = [name for name, about in manifest["splits"].items() if about["shards"]]
    if split not in filled:
        raise UsageError(
            f"split must be one in which the dataset has images ({', '.join(filled)}), got "
            f"{split!r}; choose one."
        )
    shards = sorted(manifest["splits"][split]["shards"])
    artifact.check_sizes(root, entries_of(root, manifest, shards))
    return shards

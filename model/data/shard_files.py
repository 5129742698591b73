"""The shards of a dataset as files that TensorFlow can read, wherever the dataset is."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from facemill.transforms import storage
from facemill.transforms.core.errors import FacemillError, RunError
from facemill.transforms.dataset import artifact

# The last error of a download or of reading. TensorFlow hands on no more than the text of what a
# generator raises.
_failures: deque[Exception] = deque(maxlen=1)


def shard_paths(
    dataset: str, manifest: Mapping[str, Any], shards: Sequence[str]
) -> tf.data.Dataset:
    """Paths of shards on this disk, string [], in the given order.

    Shards of an object store come through this machine's cache, a few ahead of the reader, each
    checked against its SHA-256. `failure` says what went wrong if a reader gets TensorFlow's error.

    Args:
        dataset: path or URL of the dataset.
        manifest: its manifest.
        shards: relative to it; one or more.

    Raises:
        RunError: the manifest does not list a shard among its files.
    """
    if not storage.is_remote(dataset):
        paths = [storage.join(dataset, name) for name in shards]
        return tf.data.Dataset.from_tensor_slices(paths)
    entries = entries_of(dataset, manifest, shards)

    def read() -> Iterator[str]:
        with remembered():
            yield from storage.local_files(dataset, entries)

    return tf.data.Dataset.from_generator(read, output_signature=tf.TensorSpec([], tf.string))


@contextmanager
def remembered() -> Iterator[None]:
    """Keeps the error of a generator that TensorFlow reads, for `failure`."""
    try:
        yield
    except (FacemillError, OSError) as error:
        _failures.append(error)
        raise


def failure() -> Exception | None:
    """The error of the last download or reading that failed; it is forgotten then."""
    return _failures.pop() if _failures else None


def entries_of(
    dataset: str, manifest: Mapping[str, Any], shards: Sequence[str]
) -> list[dict[str, Any]]:
    """The entries of shards in `files` of the manifest.

    Raises:
        RunError: one is not listed, or leads out of the dataset.
    """
    listed = {entry["path"]: entry for entry in manifest["files"]}
    for name in shards:
        artifact.resolve(dataset, name)
        if name not in listed:
            raise RunError(
                f"The manifest of {dataset} must list its shards among its files, but {name} is "
                "not; write the dataset again."
            )
    return [listed[name] for name in shards]

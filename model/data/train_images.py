"""Some images of the train split, as they are stored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.model.data import tfdata
from facemill.model.data.shard_files import shard_paths


def read(dataset: str, manifest: Mapping[str, Any], count: int) -> np.ndarray:
    """The first images of the train split in the order of its shards: uint8 [<= count, S, S, 3].

    Ingest orders records by hash, so these are a sample of the split, and the same in every run.

    Args:
        dataset: its path or URL.
        manifest: its manifest.
        count: how many, 1 or more.
    """
    size = manifest["options"]["image_size"]
    found: list[np.ndarray] = []
    for shard in sorted(manifest["splits"]["train"]["shards"]):
        paths = shard_paths(dataset, manifest, [shard])
        for record in tf.data.TFRecordDataset(paths).take(count - len(found)):
            found.append(tfdata.parse(record, size, with_weight=False).pixels.numpy())
        if len(found) == count:
            break
    return np.stack(found)

"""A teacher's embeddings of all training images and their mirror images, in a file.

The file is made before the first step and mapped into memory by the input pipeline, so it may be
larger than that. An image is found by a 64-bit hash of its image_id, 16 bytes for each image in
memory; among ten million images two share a hash with a probability of 3e-6.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.model.data import tfdata
from facemill.model.data.shard_files import shard_paths
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.images.resize import resize_to_square
from facemill.transforms.scoring.refused import ImageRefusedError

FILE = "teacher_targets.npy"
_BATCH = 64
_KEY, _VECTORS = "key", "vectors"


class TeacherTargets:
    """The targets of a run.

    Args:
        path: of the file, on a disk.

    Attributes:
        size: D, length of the teacher's embeddings.

    Raises:
        RunError: the file is damaged.
    """

    def __init__(self, path: str) -> None:
        try:
            rows = storage.map_array(path)
            keys, self._vectors = np.array(rows[_KEY]), rows[_VECTORS]
        except (ValueError, EOFError, IndexError) as error:
            raise RunError(
                f"{path} must hold the teacher's embeddings, but is damaged ({error}); train anew "
                "by `restart`."
            ) from None
        self.size: int = self._vectors.shape[2]
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def of(self, image_ids: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
        """The targets of some images, in a graph or not.

        Args:
            image_ids: string [N].
            mirrored: bool [N], whether the network sees the mirror image.

        Returns:
            float32 [N, D], each row of length 1.

        Raises:
            ValueError: an image has no target. A graph raises tf.errors.InvalidArgumentError.
        """
        # Declared as stateless, so that tf.data may read several batches at once.
        found = tf.numpy_function(self._read, [image_ids, mirrored], tf.float32, stateful=False)
        return tf.ensure_shape(found, [image_ids.shape[0], self.size])

    def _read(self, image_ids: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
        keys = _keys(image_ids)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        unknown = self._keys[at] != keys
        if unknown.any():
            raise ValueError(f"the teacher has not seen {image_ids[unknown][0].decode('utf-8')}")
        return self._vectors[self._order[at], mirrored.astype(np.int64)]


def write(
    path: str,
    dataset: str,
    manifest: Mapping[str, Any],
    teacher: Callable[[np.ndarray], np.ndarray],
    image_size: int,
    embedding_size: int,
    count: Callable[[int], None] = lambda images: None,
) -> None:
    """Embeds the images of the train split and their mirror images, and writes the file.

    Args:
        path: of the file, on a disk; it appears when it is complete.
        dataset: path or URL of the dataset.
        manifest: its manifest.
        teacher: uint8 [N, T, T, 3], RGB -> float32 [N, D], each row of length 1.
        image_size: T. Images of another size are resized, by area averaging or bilinearly.
        embedding_size: D.
        count: is called with the number of images of each batch that was embedded.

    Raises:
        RunError: the teacher has no finite embedding of an image, or a shard is damaged.
    """
    row = np.dtype([(_KEY, "<u8"), (_VECTORS, "<f4", (2, embedding_size))])
    records = manifest["splits"]["train"]["records"]
    header = {"descr": np.lib.format.dtype_to_descr(row), "fortran_order": False}
    written = 0
    with storage.new_file(path, sync=False) as sink:
        np.lib.format.write_array_header_1_0(sink, {**header, "shape": (records,)})
        for pixels, image_ids in _batches(dataset, manifest):
            crops = np.stack([resize_to_square(one, image_size) for one in pixels])
            rows = np.zeros(len(crops), row)
            rows[_KEY] = _keys(image_ids)
            for side, seen in enumerate((crops, np.ascontiguousarray(crops[:, :, ::-1]))):
                rows[_VECTORS][:, side] = _embedded(teacher, seen, image_ids)
            sink.write(rows.tobytes())
            written += len(rows)
            count(len(rows))
        if written != records:
            raise RunError(
                f"The train split of {dataset} must hold the {records:,} records of its manifest, "
                f"got {written:,}; ingest again."
            )


def _batches(dataset: str, manifest: Mapping[str, Any]) -> Any:
    """(uint8 [N, S, S, 3], object [N]) of the train split, in the order of the shards."""
    size = manifest["options"]["image_size"]

    @tfdata.as_written
    def read(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tfdata.parse(record, size, with_weight=False)
        return parsed.pixels, parsed.image_id

    shards = sorted(manifest["splits"]["train"]["shards"])
    return (
        tf.data.TFRecordDataset(shard_paths(dataset, manifest, shards))
        .map(read, tf.data.AUTOTUNE, deterministic=True)
        .batch(_BATCH)
        .prefetch(1)
        .with_options(tfdata.without_autotuning())
        .as_numpy_iterator()
    )


def _embedded(
    teacher: Callable[[np.ndarray], np.ndarray], crops: np.ndarray, image_ids: np.ndarray
) -> np.ndarray:
    """float32 [N, D].

    Raises:
        RunError: an image has no embedding.
    """
    try:
        vectors = teacher(crops)
    except ImageRefusedError as error:
        raise _without(image_ids[0], str(error.reason)) from None
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise _without(image_ids[bad][0], "its embedding is not finite")
    return vectors


def _without(image_id: bytes, reason: str) -> RunError:
    name = image_id.decode("utf-8")
    return RunError(
        f"The teacher must embed every training image, but does not embed {name} or one near it "
        f"({reason}); take another `teacher`."
    )


def _keys(image_ids: np.ndarray) -> np.ndarray:
    """uint64 [N]."""
    names = (one.decode("utf-8") for one in image_ids.tolist())
    return np.array([keyed_hash(0, "teacher", name) for name in names], np.uint64)

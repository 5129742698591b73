"""Statistics of the train split by tensorflow-transform: identity vocabulary and pixel moments.

Images never pass through the analyzers, only their identity and their channels' means.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.beam.tft_beam_io import beam_metadata_io
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.image_metadata import ANALYZED
from facemill.transforms.dataset.records import CHANNEL_MEAN, CHANNEL_SQUARE_MEAN, IDENTITY, QUALITY
from facemill.transforms.dataset.transform_names import (
    LABEL,
    PIXEL_MEAN,
    PIXEL_STD,
    SAVED_MODEL,
    VOCABULARY,
    VOCABULARY_FILE,
)

# The only entry of the vocabulary of a train split without identities.
PLACEHOLDER_IDENTITY = "(nobody)"
_STABLE = (
    "metadata/schema.pbtxt",
    f"{SAVED_MODEL}/{VOCABULARY_FILE}",
    "transformed_metadata/asset_map",
    "transformed_metadata/schema.pbtxt",
)
# The type of an element of the analyzed collection.
BATCH = pa.RecordBatch

_CHANNELS = 3
_BATCH = 4096
# Means are summed as integers in units of 1/65536: integer addition gives the same sum in any
# order, and 10^8 images do not overflow it.
_FIXED_POINT = 65_536.0
# Squares of sharpness are large: this unit does not overflow for 10^8 images with a mean square of
# 10^8.
_FIXED_POINT_OF_SQUARES = 16.0

_SPEC = {
    IDENTITY: tf.io.FixedLenFeature([], tf.string),
    CHANNEL_MEAN: tf.io.FixedLenFeature([_CHANNELS], tf.float32),
    CHANNEL_SQUARE_MEAN: tf.io.FixedLenFeature([_CHANNELS], tf.float32),
    **{name: tf.io.FixedLenFeature([], tf.float32) for name in QUALITY},
}
_ARROW = pa.schema(
    [
        (IDENTITY, pa.large_list(pa.large_binary())),
        (CHANNEL_MEAN, pa.large_list(pa.float32())),
        (CHANNEL_SQUARE_MEAN, pa.large_list(pa.float32())),
        *((name, pa.large_list(pa.float32())) for name in QUALITY),
    ]
)


@dataclass(frozen=True)
class Moments:
    """Moments of the pixels of the train split; each image counts equally.

    Attributes:
        pixel_mean: R, G, B, in [0, 255].
        pixel_std: standard deviations, above 0.
        quality: of each column of QUALITY: mean, std, min and max.
    """

    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    quality: dict[str, dict[str, float]]


def batches(metadata: pa.Table) -> Iterator[pa.RecordBatch]:
    """Elements for `Analyze`: some images as columns.

    Args:
        metadata: the columns ANALYZED of `transforms.dataset.image_metadata`, of images that can be
            used.
    """
    columns = (pc.fill_null(metadata["identity"], ""), *(metadata[name] for name in ANALYZED[1:]))
    table = pa.table(
        [_lists(values, kind) for values, kind in zip(columns, _ARROW.types, strict=True)],
        schema=_ARROW,
    )
    return iter(table.to_batches(_BATCH))


class Analyze(beam.PTransform):
    """pa.RecordBatch (see `batches`) -> a `tft.TFTransformOutput` directory.

    Its transform turns a record's features into `label` (int64, index in the vocabulary, -1 for
    an identity that is not in the train split), `pixel_mean` and `pixel_std` (float32 [3]), and
    mean, std, min and max of each column of QUALITY (float32 []).

    Args:
        output_dir: the directory to write.
        temp_dir: for intermediate files.
    """

    def __init__(self, output_dir: str, temp_dir: str) -> None:
        super().__init__()
        self._output_dir = output_dir
        self._temp_dir = temp_dir

    def expand(self, batches: beam.PCollection) -> None:
        """Builds the graph."""
        with tft_beam.Context(temp_dir=self._temp_dir):
            transform_fn = (batches, _adapter()) | "Analyze" >> tft_beam.AnalyzeDataset(preprocess)
        _ = transform_fn | "WriteTransform" >> tft_beam.WriteTransformFn(self._output_dir)
        raw = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(_SPEC))
        raw_dir = os.path.join(self._output_dir, tft.TFTransformOutput.RAW_METADATA_DIR)
        _ = raw | "WriteRaw" >> beam_metadata_io.WriteMetadata(raw_dir, batches.pipeline)


def preprocess(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """tensorflow-transform's preprocessing function.

    Args:
        features: `identity` string [N], `image/channel_mean` and `image/channel_square_mean`
            float32 [N, 3]; the columns of QUALITY float32 [N].

    Returns:
        `label` int64 [N], `pixel_mean` and `pixel_std` float32 [N, 3], and for each column of
        QUALITY its `_mean`, `_std`, `_min` and `_max` float32 [N].
    """
    label = tft.compute_and_apply_vocabulary(
        features[IDENTITY], default_value=-1, num_oov_buckets=0, vocab_filename=VOCABULARY
    )
    # One sum, one minimum and one maximum for all: each analyzer adds dozens of steps to the graph.
    quality = tf.stack([features[name] for name in QUALITY], axis=1)
    ones = tf.ones_like(features[IDENTITY], dtype=tf.int64)[:, tf.newaxis]
    integers = [
        _to_integers(features[CHANNEL_MEAN], _FIXED_POINT),
        _to_integers(features[CHANNEL_SQUARE_MEAN], _FIXED_POINT),
        _to_integers(quality, _FIXED_POINT),
        _to_integers(tf.square(quality), _FIXED_POINT_OF_SQUARES),
    ]
    totals = tft.sum(tf.concat([ones, *integers], axis=1), reduce_instance_dims=False)
    images = tf.cast(tf.maximum(totals[0], 1), tf.float64)
    widths = [_CHANNELS, _CHANNELS, len(QUALITY), len(QUALITY)]
    sums = [tf.cast(part, tf.float64) / images for part in tf.split(totals[1:], widths)]
    mean, square_mean = sums[0] / _FIXED_POINT, sums[1] / _FIXED_POINT
    # A collection of one flat color would give 0, and training divides by this value.
    std = tf.sqrt(tf.maximum(square_mean - tf.square(mean), 1.0))
    quality_mean = sums[2] / _FIXED_POINT
    quality_variance = sums[3] / _FIXED_POINT_OF_SQUARES - tf.square(quality_mean)
    figures = {
        "mean": quality_mean,
        "std": tf.sqrt(tf.maximum(quality_variance, 0.0)),
        "min": tft.min(quality, reduce_instance_dims=False),
        "max": tft.max(quality, reduce_instance_dims=False),
    }
    names = [f"{name}_{figure}" for figure in figures for name in QUALITY]
    # All figures in one tensor: tensorflow-transform traces this function five times, and each
    # operation costs a millisecond of every ingest.
    values = [tf.cast(one, tf.float32) for one in (mean, std, *figures.values())]
    figures_of_rows = _for_each_row(tf.concat(values, axis=0), features[IDENTITY])
    mean, std, rest = tf.split(figures_of_rows, [_CHANNELS, _CHANNELS, len(names)], axis=1)
    columns = dict(zip(names, tf.unstack(rest, axis=1), strict=True))
    return {LABEL: label, PIXEL_MEAN: mean, PIXEL_STD: std, **columns}


def stable_files(transform_dir: str) -> list[str]:
    """Paths, relative to the transform, of its files whose bytes depend on the input alone.

    The file of the graph is not among them: its names and their order change from run to run.
    """
    return [name for name in _STABLE if storage.exists(os.path.join(transform_dir, name))]


def other_files(transform_dir: str) -> list[str]:
    """Paths, relative to the transform, of its other files, such as the graph.

    The manifest of a dataset cannot list them, so its run.json does, under `transform`.
    """
    stable = stable_files(transform_dir)
    return [name for name in storage.walk_files(transform_dir) if name not in stable]


def write_placeholder_vocabulary(transform_dir: str) -> None:
    """Gives the vocabulary of a train split without identities the same content in every run.

    TensorFlow's tables cannot be empty, so tensorflow-transform writes a random token into one.
    """
    path = os.path.join(transform_dir, SAVED_MODEL, VOCABULARY_FILE)
    storage.write_atomically(path, f"{PLACEHOLDER_IDENTITY}\n".encode())


def check_vocabulary(transform_dir: str, identities: int) -> None:
    """Checks that the vocabulary has every identity of the train split.

    Args:
        transform_dir: of a train split with identities.
        identities: how many the train split has.

    Raises:
        RunError: the vocabulary has more or fewer.
    """
    path = os.path.join(transform_dir, SAVED_MODEL, VOCABULARY_FILE)
    with storage.open_file(path) as lines:
        entries = sum(1 for _ in lines)
    if entries != identities:
        raise RunError(
            f"The vocabulary must have the {identities} identities of the train split, but has "
            f"{entries}; this is a fault of facemill, so please report it."
        )


def moments(transform_dir: str) -> Moments:
    """The moments, which the transform returns for every image."""
    output = tft.TFTransformOutput(transform_dir)
    row = {
        IDENTITY: tf.constant([""]),
        CHANNEL_MEAN: tf.zeros([1, _CHANNELS]),
        CHANNEL_SQUARE_MEAN: tf.zeros([1, _CHANNELS]),
        **{name: tf.zeros([1]) for name in QUALITY},
    }
    result = output.transform_raw_features(row)
    mean, std = (tuple(np.asarray(result[name][0]).tolist()) for name in (PIXEL_MEAN, PIXEL_STD))
    quality = {
        name: {
            figure: float(result[f"{name}_{figure}"][0]) for figure in ("mean", "std", "min", "max")
        }
        for name in QUALITY
    }
    return Moments(mean, std, quality)


def _lists(values: pa.ChunkedArray, kind: pa.LargeListType) -> pa.LargeListArray:
    """Converts values to lists of one, or fixed-size lists to large ones, without Python loops."""
    array = values.combine_chunks()
    width = array.type.list_size if pa.types.is_fixed_size_list(array.type) else 1
    flat = array.flatten() if width > 1 else array
    offsets = pa.array(np.arange(0, len(flat) + 1, width), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, flat.cast(kind.value_type))


def _adapter() -> tensor_adapter.TensorAdapterConfig:
    schema = schema_utils.schema_from_feature_spec(_SPEC)
    representations = tensor_representation_util.InferTensorRepresentationsFromSchema(schema)
    return tensor_adapter.TensorAdapterConfig(_ARROW, representations)


def _to_integers(values: tf.Tensor, unit: float) -> tf.Tensor:
    """Rounds to integers, whose sum is the same in any order: int64."""
    return tf.cast(tf.round(tf.cast(values, tf.float64) * unit), tf.int64)


def _for_each_row(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Repeats values float32 [K] for each element of a tensor [N]: float32 [N, K]."""
    return tf.broadcast_to(values[tf.newaxis], [tf.shape(like)[0], values.shape[0]])

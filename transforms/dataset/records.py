"""The record schema, which the writers and the readers of datasets share, and its encoding.

A record is one serialized `tf.train.Example`. The module `example_proto` describes that message for
Protocol Buffers, so that the workers that write records need not import TensorFlow. Features are
written in the order of their names, because equal records must give equal bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.example_proto import Example

ENCODED = "image/encoded"
IMAGE_ID = "image/id"
IDENTITY = "identity"
CHANNEL_MEAN = "image/channel_mean"
CHANNEL_SQUARE_MEAN = "image/channel_square_mean"
# Columns of the index that measure an image; the dataset's transform has their statistics.
QUALITY = ("sharpness", "brightness", "contrast")
# Only where a balance rule set them.
WEIGHT = "weight"
AUGMENTATION_SEED = "augmentation_seed"

Feature = bytes | int | Sequence[float]
Decoded = bytes | list[float] | list[int]


@dataclass(frozen=True)
class Record:
    """One image of a dataset.

    Attributes:
        image_id: stable key, '/'-separated path relative to the input.
        identity: label of the person.
        encoded: JPEG bytes, RGB, square, of the dataset's image size.
        channel_mean: means of R, G and B of the crop before it was encoded, each in [0, 255];
            those of the decoded JPEG differ by some tenths.
        channel_square_mean: means of the squares of R, G and B, each in [0, 65025].
    """

    image_id: str
    identity: str
    encoded: bytes
    channel_mean: tuple[float, float, float]
    channel_square_mean: tuple[float, float, float]

    def to_example(self) -> bytes:
        """The record as a serialized `tf.train.Example`; equal records give equal bytes."""
        return encode_example(
            {
                ENCODED: self.encoded,
                IMAGE_ID: self.image_id.encode("utf-8"),
                IDENTITY: self.identity.encode("utf-8"),
                CHANNEL_MEAN: self.channel_mean,
                CHANNEL_SQUARE_MEAN: self.channel_square_mean,
            }
        )


def from_example(data: bytes) -> Record:
    """The record of a serialized `tf.train.Example`.

    Raises:
        RunError: it is not an example, or not of this schema.
    """
    try:
        features = _features(data)
    except ValueError as error:
        raise _no_example(data, error) from None
    try:
        (encoded,) = features[ENCODED].bytes_list.value
        (image_id,) = features[IMAGE_ID].bytes_list.value
        (identity,) = features[IDENTITY].bytes_list.value
        red, green, blue = features[CHANNEL_MEAN].float_list.value
        square_red, square_green, square_blue = features[CHANNEL_SQUARE_MEAN].float_list.value
        return Record(
            image_id=image_id.decode("utf-8"),
            identity=identity.decode("utf-8"),
            encoded=encoded,
            channel_mean=(red, green, blue),
            channel_square_mean=(square_red, square_green, square_blue),
        )
    except (KeyError, ValueError) as error:
        raise RunError(
            f"A record must hold {ENCODED}, {IMAGE_ID}, {IDENTITY} and the channel moments, "
            f"got {sorted(features)} ({error}); write the dataset again."
        ) from None


def extra_features(copy: int, weight: float | None) -> bytes:
    """The features that a balance rule adds to a record, to be appended to its bytes.

    Two serialized messages one after the other are one message with the features of both, as
    Protocol Buffers defines it.

    Args:
        copy: number of the copy of the image, from 0 on; from 1 on it is stored as the seed of the
            copy's augmentation.
        weight: of the image in training, or None for no weight.
    """
    features: dict[str, Feature] = {}
    if copy:
        features[AUGMENTATION_SEED] = copy
    if weight is not None:
        features[WEIGHT] = (weight,)
    return encode_example(features) if features else b""


def encode_example(features: Mapping[str, Feature]) -> bytes:
    """Serializes features as a `tf.train.Example`, in the order of their names.

    Args:
        features: non-empty name to bytes (a bytes_list of one), an integer in [-2**63, 2**63) (an
            int64_list of one) or one or more floats (a float_list).
    """
    example = Example()
    # `features` is written even if it is empty.
    example.features.SetInParent()
    entries = example.features.feature
    for name in sorted(features):
        value = features[name]
        entry = entries.add()
        entry.key = name
        feature = entry.value
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.float_list.value.extend(value)
    return example.SerializeToString()


def decode_example(data: bytes) -> dict[str, Decoded]:
    """The features of a serialized `tf.train.Example` of single bytes, float and int64 lists.

    Raises:
        RunError: the bytes are not such an example.
    """
    result: dict[str, Decoded] = {}
    try:
        for name, feature in _features(data).items():
            kind = feature.WhichOneof("kind")
            if kind is None:
                raise ValueError(f"feature {name} has no list")
            if kind == "bytes_list":
                (result[name],) = feature.bytes_list.value
            else:
                result[name] = list(getattr(feature, kind).value)
    except ValueError as error:
        raise _no_example(data, error) from None
    return result


def parse_example(data: bytes) -> dict[str, list[bytes] | list[float] | list[int]]:
    """The features of any serialized `tf.train.Example`, also one that other programs wrote.

    Args:
        data: of the example. As in TensorFlow, unknown fields are skipped, also those with the
            number of a field of the schema and another wire type.

    Returns:
        The values of each feature: bytes, floats, or integers in [-2**63, 2**63); an empty list
        where it has none.

    Raises:
        ValueError: the bytes are not an example; the message says why.
    """
    result = {}
    for name, feature in _features(data).items():
        kind = feature.WhichOneof("kind")
        result[name] = list(getattr(feature, kind).value) if kind else []
    return result


def _features(data: bytes) -> dict[str, Any]:
    """Name to `Feature` of a serialized example; if a name is repeated, the last entry counts.

    Raises:
        ValueError: the bytes are not an example.
    """
    try:
        example = Example.FromString(data)
    except DecodeError:
        # Protocol Buffers' message gives no more detail, and names our copy of the message type.
        raise ValueError("not a serialized tf.train.Example") from None
    return {entry.key: entry.value for entry in example.features.feature}


def _no_example(data: bytes, error: ValueError) -> RunError:
    return RunError(
        f"A record must be a tf.train.Example of bytes and numbers, got {len(data)} bytes "
        f"that are not ({error}); write the dataset again."
    )

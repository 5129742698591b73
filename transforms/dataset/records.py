"""The record schema, shared by what writes datasets and what reads them, and its encoding.

A record is one serialized `tf.train.Example`. It is encoded here, and not by TensorFlow, for two
reasons: the bytes must not depend on map order, and the writing side must not pay TensorFlow's
import. The wire format is Protocol Buffers', as
https://protobuf.dev/programming-guides/encoding states it.
"""

import functools
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facemill.transforms.core.errors import RunError

ENCODED = "image/encoded"
IMAGE_ID = "image/id"
IDENTITY = "identity"
CHANNEL_MEAN = "image/channel_mean"
CHANNEL_SQUARE_MEAN = "image/channel_square_mean"
# Columns of the index that measure an image; the dataset's transform has their statistics.
QUALITY = ("sharpness", "brightness", "contrast")
# Only where a rule of balance asked for them.
WEIGHT = "weight"
AUGMENTATION_SEED = "augmentation_seed"

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_SHORT_VARINTS = tuple(bytes((value,)) for value in range(0x80))

Feature = bytes | int | Sequence[float]
Decoded = bytes | list[float] | list[int]


@dataclass(frozen=True)
class Record:
    """One image of a dataset.

    Attributes:
        image_id: stable key, '/'-separated path relative to the input.
        identity: whose face it is.
        encoded: JPEG bytes, RGB, square, of the dataset's image size.
        channel_mean: mean of R, G and B of the square before it was encoded, each in [0, 255];
            the decoded JPEG's differ by some tenths.
        channel_square_mean: mean of their squares, each in [0, 65025].
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
    features = decode_example(data)
    try:
        mean, square_mean = features[CHANNEL_MEAN], features[CHANNEL_SQUARE_MEAN]
        return Record(
            image_id=_as_bytes(features[IMAGE_ID]).decode("utf-8"),
            identity=_as_bytes(features[IDENTITY]).decode("utf-8"),
            encoded=_as_bytes(features[ENCODED]),
            channel_mean=_as_three(mean),
            channel_square_mean=_as_three(square_mean),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"A record must hold {ENCODED}, {IMAGE_ID}, {IDENTITY} and the channel moments, "
            f"got {sorted(features)} ({error}); write the dataset again."
        ) from None


def extra_features(copy: int, weight: float | None) -> bytes:
    """What a rule of balance adds to a record, to be appended to its bytes.

    Two serialized messages one after the other are one message with the features of both, as
    Protocol Buffers defines it.

    Args:
        copy: which copy of the image it is, from 0 on; later ones carry it as the seed by which
            their augmentation differs.
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
        features: name to bytes (a bytes_list of one), to a number of 0 or more (an int64_list of
            one) or to floats (a packed float_list).
    """
    entries = []
    for name in sorted(features):
        value = features[name]
        if isinstance(value, bytes):
            feature = _field(_BYTES_LIST, _field(1, value))
        elif isinstance(value, int):
            feature = _field(_INT64_LIST, _field(1, _varint(value)))
        else:
            packed = struct.pack(f"<{len(value)}f", *value)
            feature = _field(_FLOAT_LIST, _field(1, packed))
        entries.append(_field(1, _key(name) + _field(2, feature)))
    return _field(1, b"".join(entries))


def decode_example(data: bytes) -> dict[str, Decoded]:
    """The features of a serialized `tf.train.Example` of single bytes, float and int64 lists.

    Raises:
        RunError: the bytes are not such an example.
    """
    result: dict[str, Decoded] = {}
    try:
        for name, (kind, values) in _features(data).items():
            if kind == _BYTES_LIST:
                (result[name],) = values
            elif kind:
                result[name] = values
            else:
                raise ValueError(f"feature {name} has no list")
    except ValueError as error:
        raise RunError(
            f"A record must be a tf.train.Example of bytes and numbers, got {len(data)} bytes "
            f"that are not ({error}); write the dataset again."
        ) from None
    return result


def parse_example(data: bytes) -> dict[str, list[bytes] | list[float] | list[int]]:
    """The features of any serialized `tf.train.Example`, as others write them.

    Args:
        data: of the example.

    Returns:
        the values of each feature: bytes, floats, or integers in [-2**63, 2**63); an empty list
        where it has none.

    Raises:
        ValueError: the bytes are no such example; the message says why.
    """
    return {name: values for name, (_, values) in _features(data).items()}


@functools.cache
def _key(name: str) -> bytes:
    """The name's part of an entry of `Features`; there are few names and many records."""
    return _field(1, name.encode("utf-8"))


def _varint(value: int) -> bytes:
    if value <= 0x7F:
        return _SHORT_VARINTS[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _features(data: bytes) -> dict[str, tuple[int, list[Any]]]:
    """Name to (which kind of list, its values); fields that no example has are skipped.

    Raises:
        ValueError: the bytes are not an example.
    """
    result = {}
    try:
        # A view, so that an image is copied once and not at every level around it.
        for example_field, features in _fields(memoryview(data)):
            if example_field != 1:
                continue
            for features_field, entry in _fields(_message(features)):
                if features_field != 1:
                    continue
                parts = dict(_fields(_message(entry)))
                name = str(_message(parts.get(1, memoryview(b""))), "utf-8")
                result[name] = _values(_message(parts.get(2, memoryview(b""))))
    except IndexError:
        raise ValueError("a varint is cut off") from None
    return result


def _values(feature: memoryview) -> tuple[int, list[Any]]:
    kind = 0
    values: list[Any] = []
    for number, content in _fields(feature):
        if number not in (_BYTES_LIST, _FLOAT_LIST, _INT64_LIST):
            continue
        if number != kind:
            # Of several kinds the last counts, as Protocol Buffers wants it of a oneof.
            kind, values = number, []
        for field, value in _fields(_message(content)):
            if field != 1:
                continue
            if kind == _BYTES_LIST:
                values.append(bytes(_message(value)))
            elif kind == _FLOAT_LIST:
                values.extend(_floats(_message(value)))
            elif isinstance(value, int):
                values.append(_signed(value))
            else:
                values.extend(map(_signed, _varints(value)))
    return kind, values


def _floats(packed: memoryview) -> tuple[float, ...]:
    if len(packed) % 4:
        raise ValueError(f"{len(packed)} bytes of floats")
    return struct.unpack(f"<{len(packed) // 4}f", packed)


def _varints(packed: memoryview) -> Iterator[int]:
    position = 0
    while position < len(packed):
        value, position = _read_varint(packed, position)
        yield value


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _message(content: memoryview | int) -> memoryview:
    if isinstance(content, int):
        raise ValueError("a number where a message belongs")
    return content


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("a varint of more than ten bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """(field number, content) of a message; fixed values come as their bytes, varints as ints."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        wire = tag & 7
        if wire == _VARINT:
            value, position = _read_varint(data, position)
            yield tag >> 3, value
            continue
        if wire == _LENGTH_DELIMITED:
            length, position = _read_varint(data, position)
        elif wire == _FIXED32:
            length = 4
        elif wire == _FIXED64:
            length = 8
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(data):
            raise ValueError("a field longer than its message")
        yield tag >> 3, data[position : position + length]
        position += length


def _as_bytes(value: Decoded) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("numbers where bytes belong")
    return value


def _as_three(value: Decoded) -> tuple[float, float, float]:
    if isinstance(value, bytes):
        raise TypeError("bytes where floats belong")
    red, green, blue = value
    if isinstance(red, int):
        raise TypeError("integers where floats belong")
    return red, green, blue

import math
import pickle
import struct

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import records, tfrecord
from facemill.transforms.dataset.records import (
    Record,
    decode_example,
    encode_example,
    from_example,
    parse_example,
)

_INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
_FLOAT32 = st.floats(width=32, allow_nan=False)
_FEATURES = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.one_of(
        st.lists(st.binary(max_size=20), max_size=4),
        st.lists(_FLOAT32, max_size=4),
        st.lists(_INT64, max_size=4),
    ),
    max_size=5,
)


def _example(features) -> bytes:
    """As TensorFlow writes it."""
    example = tf.train.Example()
    for name, values in features.items():
        feature = example.features.feature[name]
        if values and isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif values and isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return example.SerializeToString(deterministic=True)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def _of_one(feature: bytes) -> bytes:
    return _field(1, _field(1, _field(1, b"a") + _field(2, feature)))


@settings(deadline=None, max_examples=60)
@given(features=_FEATURES)
def test_examples_of_tensorflow_are_parsed(features):
    assert parse_example(_example(features)) == features


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (_field(2, b"\x0d" + struct.pack("<f", 1.5) + b"\x0d" + struct.pack("<f", -2)), [1.5, -2]),
        (_field(2, b"\x0d" + struct.pack("<f", 1.5) + _field(1, struct.pack("<f", 3))), [1.5, 3]),
        (_field(3, b"\x08\x05\x08" + b"\xff" * 9 + b"\x01"), [5, -1]),
        (_field(3, b"\x08\x05" + _field(1, b"\x06\x80\x01")), [5, 6, 128]),
        (_field(3, b"\x08\x05") + _field(3, b"\x08\x06"), [5, 6]),
        (_field(3, b"\x08\x05") + _field(1, _field(1, b"x")), [b"x"]),
        (_field(9, b"unknown") + _field(1, _field(1, b"x")), [b"x"]),
        (b"\x41" + b"\0" * 8 + _field(1, _field(1, b"x")), [b"x"]),
        (b"", []),
        # The number of a field of the schema with another wire type is an unknown field.
        (_field(1, b"\x08\x01"), []),
        (b"\x08\x01" + _field(1, _field(1, b"x")), [b"x"]),
    ],
)
def test_other_encodings_of_the_same_feature_are_parsed(feature, values):
    assert parse_example(_of_one(feature)) == {"a": values}
    parsed = tf.train.Example.FromString(_of_one(feature)).features.feature["a"]
    kind = parsed.WhichOneof("kind")
    assert values == (list(getattr(parsed, kind).value) if kind else [])


def test_the_last_of_two_features_with_one_name_counts():
    def entry(value: bytes) -> bytes:
        return _field(1, _field(1, b"a") + _field(2, _field(1, _field(1, value))))

    for data in (
        _field(1, entry(b"x") + entry(b"y")),
        _field(1, entry(b"x")) + _field(1, entry(b"y")),
    ):
        assert parse_example(data) == {"a": [b"y"]}
        theirs = tf.train.Example.FromString(data).features.feature["a"]
        assert list(theirs.bytes_list.value) == [b"y"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\x0a\xff",
        b"\x0a\x05abc",
        b"\x0b",
        _of_one(_field(2, _field(1, b"abc"))),
        _of_one(_field(3, _field(1, b"\xff"))),
        _of_one(_field(3, _field(1, b"\xff" * 12))),
        _field(1, _field(1, _field(1, b"\xff"))),
    ],
)
def test_bytes_that_are_not_an_example_are_an_error(data):
    with pytest.raises(ValueError, match=r"."):
        parse_example(data)
    with pytest.raises(RunError, match=r"must be a tf\.train\.Example"):
        decode_example(data)


@settings(deadline=None, max_examples=100)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_parsed_or_are_an_error(data):
    try:
        parse_example(data)
    except ValueError:
        with pytest.raises(RunError):
            decode_example(data)


def test_one_bytes_value_and_lists_of_numbers_are_decoded():
    data = _example({"a": [b"x"], "b": [1.5, 2.5], "c": [-7, 8]})
    assert decode_example(data) == {"a": b"x", "b": [1.5, 2.5], "c": [-7, 8]}
    assert decode_example(encode_example({"a": b"", "b": (0.5,)})) == {"a": b"", "b": [0.5]}
    for bad in (_example({"a": [b"x", b"y"]}), _of_one(b"")):
        with pytest.raises(RunError):
            decode_example(bad)


def test_a_record_may_have_further_features_but_not_wrong_ones():
    record = Record("a/1.jpg", "a", b"jpeg", (1.0, 2.0, 3.0), (1.0, 4.0, 9.0))
    assert from_example(record.to_example() + _example({"more": [1]})) == record
    for name, values in (
        (records.CHANNEL_MEAN, [1, 2, 3]),
        (records.CHANNEL_MEAN, [b"x"]),
        (records.CHANNEL_MEAN, [1.0]),
        (records.IDENTITY, [1]),
        (records.IDENTITY, [math.pi]),
        (records.IDENTITY, [b"\xff"]),
    ):
        with pytest.raises(RunError, match="A record must hold"):
            from_example(record.to_example() + _example({name: values}))


def test_a_pickled_damaged_error_keeps_its_description():
    error = tfrecord.DamagedError("a sentence", "cut")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.what) == ("a sentence", "cut")

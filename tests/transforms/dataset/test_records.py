import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import records
from facemill.transforms.dataset.records import Record, decode_example, encode_example, from_example

singles = st.floats(width=32, allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
triples = st.tuples(singles, singles, singles)
some_records = st.builds(
    Record,
    image_id=texts,
    identity=texts,
    encoded=st.binary(max_size=400),
    channel_mean=triples,
    channel_square_mean=triples,
)
RECORD = Record("a/1.jpg", "a", b"\xff\xd8jpeg", (1.0, 2.0, 3.5), (4.0, 5.0, 6.5))


@given(some_records)
@settings(deadline=None, max_examples=100)
def test_a_record_comes_back_the_same(record):
    assert from_example(record.to_example()) == record
    assert record.to_example() == record.to_example()


@given(some_records)
@settings(deadline=None, max_examples=50)
def test_tensorflow_reads_the_same(record):
    import tensorflow as tf

    feature = tf.train.Example.FromString(record.to_example()).features.feature
    assert sorted(feature) == sorted(
        [
            *(records.ENCODED, records.IMAGE_ID, records.IDENTITY),
            *(records.CHANNEL_MEAN, records.CHANNEL_SQUARE_MEAN),
        ]
    )
    assert list(feature[records.ENCODED].bytes_list.value) == [record.encoded]
    assert list(feature[records.IMAGE_ID].bytes_list.value) == [record.image_id.encode()]
    assert list(feature[records.IDENTITY].bytes_list.value) == [record.identity.encode()]
    assert tuple(feature[records.CHANNEL_MEAN].float_list.value) == record.channel_mean
    square = tuple(feature[records.CHANNEL_SQUARE_MEAN].float_list.value)
    assert square == record.channel_square_mean


@given(some_records)
@settings(deadline=None, max_examples=50)
def test_what_tensorflow_writes_is_read_in_any_order(record):
    import tensorflow as tf

    def raw(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def numbers(values: tuple) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    feature = {
        records.IDENTITY: raw(record.identity.encode()),
        records.CHANNEL_SQUARE_MEAN: numbers(record.channel_square_mean),
        records.IMAGE_ID: raw(record.image_id.encode()),
        records.CHANNEL_MEAN: numbers(record.channel_mean),
        records.ENCODED: raw(record.encoded),
    }
    theirs = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    assert from_example(theirs) == record


def test_floats_that_are_not_packed_are_read():
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    loose = b"".join(bytes([1 << 3 | 5]) + struct.pack("<f", value) for value in (0.5, 2.0))
    entry = field(1, b"x") + field(2, field(2, loose))
    assert decode_example(field(1, field(1, entry))) == {"x": [0.5, 2.0]}


def test_the_order_of_features_changes_no_byte():
    features = {"b": b"2", "a": [1.0], "c": b""}
    assert encode_example(features) == encode_example(dict(reversed(features.items())))
    assert decode_example(encode_example(features)) == features


def test_an_example_cut_at_any_byte_is_refused():
    whole = RECORD.to_example()
    for length in range(len(whole)):
        with pytest.raises(RunError, match="A record must"):
            from_example(whole[:length])


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=200)
def test_other_bytes_are_refused(data):
    with pytest.raises(RunError):
        from_example(data)


@given(st.integers(0, len(RECORD.to_example()) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=200)
def test_a_damaged_example_is_read_or_refused(place, change):
    data = bytearray(RECORD.to_example())
    data[place] ^= change
    with suppress(RunError):
        assert isinstance(from_example(bytes(data)), Record)


@pytest.mark.parametrize(
    "features",
    [
        {},
        {records.IMAGE_ID: b"a"},
        {records.ENCODED: [1.0]},
        {records.IDENTITY: b"\xff\xfe"},
        {records.CHANNEL_MEAN: [1.0, 2.0]},
        {records.CHANNEL_MEAN: b"three"},
    ],
)
def test_another_schema_is_refused(features):
    whole = decode_example(RECORD.to_example()) if features else {}
    if records.IMAGE_ID in features:
        del whole[records.IDENTITY]
    with pytest.raises(RunError, match="A record must hold"):
        from_example(encode_example({**whole, **features}))

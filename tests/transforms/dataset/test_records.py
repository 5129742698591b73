import struct
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import records
from facemill.transforms.dataset.records import (
    Record,
    decode_example,
    encode_example,
    extra_features,
    from_example,
    parse_example,
)

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


@pytest.mark.moderate
@given(some_records)
@settings(deadline=None, max_examples=100)
def test_a_decoded_record_equals_the_encoded_one(record):
    assert from_example(record.to_example()) == record
    assert record.to_example() == record.to_example()


@pytest.mark.slow
@given(some_records)
@settings(deadline=None, max_examples=50)
def test_tensorflow_reads_the_same_record(record):
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


@pytest.mark.slow
@given(some_records)
@settings(deadline=None, max_examples=50)
def test_records_of_tensorflow_are_read_in_any_order_of_features(record):
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


# Datasets on disk hold these bytes; a change here is a change of every dataset.
@pytest.mark.parametrize(
    ("record", "written"),
    [
        (
            RECORD,
            "0aa0010a110a086964656e7469747912050a030a01610a260a12696d6167652f6368616e6e656c5f6d6561"
            "6e1210120e0a0c0000803f00000040000060400a2d0a19696d6167652f6368616e6e656c5f737175617265"
            "5f6d65616e1210120e0a0c000080400000a0400000d0400a1b0a0d696d6167652f656e636f646564120a0a"
            "080a06ffd86a7065670a170a08696d6167652f6964120b0a090a07612f312e6a7067",
        ),
        (
            Record("", "", b"", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
            "0a92010a100a086964656e7469747912040a020a000a260a12696d6167652f6368616e6e656c5f6d65616e"
            "1210120e0a0c0000000000000000000000000a2d0a19696d6167652f6368616e6e656c5f7371756172655f"
            "6d65616e1210120e0a0c0000000000000000000000000a150a0d696d6167652f656e636f64656412040a02"
            "0a000a100a08696d6167652f696412040a020a00",
        ),
        (
            Record(
                "José/写真 1.jpg",
                "José",
                bytes(200),
                (127.1, 1e-3, 255.0),
                (65025.0, 16154.41, 1e-6),
            ),
            "0af5020a150a086964656e7469747912090a070a054a6f73c3a90a260a12696d6167652f6368616e6e656c"
            "5f6d65616e1210120e0a0c3333fe426f12833a00007f430a2d0a19696d6167652f6368616e6e656c5f7371"
            "756172655f6d65616e1210120e0a0c00017e47a4697c46bd3786350ae0010a0d696d6167652f656e636f64"
            "656412ce010acb010ac801" + "00" * 200 + "0a220a08696d6167652f696412160a140a124a6f73c3a9"
            "2fe58699e79c9f20312e6a7067",
        ),
    ],
)
def test_record_bytes_golden_values(record, written):
    assert record.to_example().hex() == written


@pytest.mark.parametrize(
    ("copy", "weight", "written"),
    [
        (0, None, ""),
        (3, None, "0a1c0a1a0a116175676d656e746174696f6e5f7365656412051a030a0103"),
        (0, 1.25, "0a140a120a06776569676874120812060a040000a03f"),
        (
            200,
            0.5,
            "0a310a1b0a116175676d656e746174696f6e5f7365656412061a040a02c8010a120a06776569676874"
            "120812060a040000003f",
        ),
    ],
)
def test_extra_features_bytes_golden_values(copy, weight, written):
    assert extra_features(copy, weight).hex() == written


@pytest.mark.parametrize(
    ("features", "written"),
    [
        ({}, "0a00"),
        (
            {"f": (1.5, -0.0, float("inf"), float("nan"))},
            "0a1b0a190a0166121412120a100000c03f000000800000807f0000c07f",
        ),
        ({"i": 0}, "0a0c0a0a0a016912051a030a0100"),
        ({"i": -1}, "0a150a130a0169120e1a0c0a0affffffffffffffffff01"),
        ({"i": (1 << 63) - 1}, "0a140a120a0169120d1a0b0a09ffffffffffffffff7f"),
        ({"b": b"x" * 128}, "0a8f010a8c010a01621286010a83010a8001" + "78" * 128),
        (
            # By their UTF-8: in UTF-16 the last two would be exchanged.
            {"\U00010000": b"4", "\uffff": b"3", "z": b"1", "é": b"2"},
            "0a360a0a0a017a12050a030a01310a0b0a02c3a912050a030a01320a0c0a03efbfbf12050a030a01330a0d"
            "0a04f090808012050a030a0134",
        ),
    ],
)
def test_feature_bytes_golden_values(features, written):
    assert encode_example(features).hex() == written


@given(st.dictionaries(texts.filter(bool), st.binary(max_size=4), max_size=12))
@example({"ab": b"", "a": b"", "b": b""})
@settings(deadline=None, max_examples=100)
def test_features_are_written_in_the_order_of_their_utf_8_names(features):
    def field(number: int, content: bytes) -> bytes:
        assert len(content) < 1 << 14
        size = len(content)
        length = bytes([size]) if size < 1 << 7 else bytes([size & 0x7F | 0x80, size >> 7])
        return bytes([number << 3 | 2]) + length + content

    entries = [
        field(1, field(1, name) + field(2, field(1, field(1, value))))
        for name, value in sorted((name.encode(), value) for name, value in features.items())
    ]
    assert encode_example(features) == field(1, b"".join(entries))


@given(some_records, st.integers(0, (1 << 32) - 1), st.none() | singles)
@settings(deadline=None, max_examples=100)
def test_a_record_with_appended_extra_features_is_one_message(record, copy, weight):
    data = record.to_example() + extra_features(copy, weight)
    assert from_example(data) == record
    features = parse_example(data)
    assert features.get(records.AUGMENTATION_SEED) == ([copy] if copy else None)
    assert features.get(records.WEIGHT) == (None if weight is None else [weight])
    assert len(features) == 5 + bool(copy) + (weight is not None)


def test_the_order_of_given_features_does_not_change_the_bytes():
    features = {"b": b"2", "a": [1.0], "c": b""}
    assert encode_example(features) == encode_example(dict(reversed(features.items())))
    assert decode_example(encode_example(features)) == features


@pytest.mark.parametrize(
    ("data", "reported"),
    [
        (b"\x0a\x05abc", "got 5 bytes that are not (not a serialized tf.train.Example); write"),
        (encode_example({"a": b"x"}), "and the channel moments, got ['a'] ("),
        (b"", "and the channel moments, got [] ("),
    ],
)
def test_bytes_that_are_not_a_record_are_refused_in_one_sentence(data, reported):
    with pytest.raises(RunError) as error:
        from_example(data)
    assert reported in str(error.value)
    assert str(error.value).startswith("A record must ")
    assert str(error.value).endswith("; write the dataset again.")


def test_an_example_cut_at_any_byte_is_refused():
    whole = RECORD.to_example()
    for length in range(len(whole)):
        with pytest.raises(RunError, match="A record must"):
            from_example(whole[:length])


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=200)
def test_bytes_that_are_not_an_example_are_refused(data):
    with pytest.raises(RunError):
        from_example(data)


@given(st.integers(0, len(RECORD.to_example()) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=200)
def test_a_damaged_example_is_read_or_refused(position, change):
    data = bytearray(RECORD.to_example())
    data[position] ^= change
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

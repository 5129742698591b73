import io
import struct

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import tfrecord

payloads = st.lists(st.binary(max_size=200), max_size=8)


def written(some: list[bytes]) -> bytes:
    stream = io.BytesIO()
    tfrecord.write(stream, some)
    return stream.getvalue()


@given(payloads)
@settings(deadline=None, max_examples=60)
def test_written_records_are_read_back(some):
    stream = io.BytesIO()
    positions = tfrecord.write(stream, some)
    assert [length for _, length in positions] == [len(payload) for payload in some]
    stream.seek(0)
    assert list(tfrecord.read(stream)) == some
    assert list(tfrecord.scan(stream)) == positions
    for (offset, _), payload in zip(positions, some, strict=True):
        assert tfrecord.read_at(stream, offset) == payload
    assert stream.getvalue() == b"".join(map(tfrecord.frame, some))


@given(payloads, payloads)
@settings(deadline=None, max_examples=20)
def test_offsets_count_from_the_start_of_the_file(before, after):
    stream = io.BytesIO()
    tfrecord.write(stream, before)
    for (offset, _), payload in zip(tfrecord.write(stream, after), after, strict=True):
        assert tfrecord.read_at(stream, offset) == payload


def test_tensorflow_reads_the_same_records(tmp_path):
    import tensorflow as tf

    some = [b"", b"one", bytes(range(256)) * 30]
    path = tmp_path / "some.tfrecord"
    path.write_bytes(written(some))
    assert [one.numpy() for one in tf.data.TFRecordDataset(str(path))] == some
    with tf.io.TFRecordWriter(str(tmp_path / "theirs.tfrecord")) as writer:
        for payload in some:
            writer.write(payload)
    assert (tmp_path / "theirs.tfrecord").read_bytes() == path.read_bytes()


def test_a_file_cut_at_any_byte_is_refused():
    some = [b"first", b"", b"the third"]
    whole = written(some)
    ends = [0]
    for payload in some:
        ends.append(ends[-1] + len(tfrecord.frame(payload)))
    for length in range(len(whole)):
        stream = io.BytesIO(whole[:length])
        if length in ends:
            # A file of fewer records; their number is the manifest's to know.
            assert list(tfrecord.read(stream)) == some[: ends.index(length)]
            continue
        with pytest.raises(RunError, match="must be a whole TFRecord file"):
            list(tfrecord.read(stream))
        with pytest.raises(RunError, match="must be a whole TFRecord file"):
            list(tfrecord.scan(stream))


def test_a_change_of_any_bit_is_detected():
    whole = written([b"first", b"second"])
    for index in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[index] ^= 1 << bit
            with pytest.raises(RunError):
                list(tfrecord.read(io.BytesIO(changed)))


@pytest.mark.parametrize("length", [1 << 31, 1 << 62, (1 << 64) - 1])
def test_a_length_above_the_limit_is_refused_and_not_allocated(length):
    header = struct.pack("<Q", length)
    crc = google_crc32c.value(header)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    stream = io.BytesIO(header + struct.pack("<I", masked) + b"rest")
    for reader in (tfrecord.read, tfrecord.scan):
        stream.seek(0)
        with pytest.raises(RunError):
            list(reader(stream))


@pytest.mark.parametrize("offset", [1, 12, 22, 1000])
def test_reading_inside_a_record_or_at_the_end_is_refused(offset):
    with pytest.raises(RunError):
        tfrecord.read_at(io.BytesIO(written([b"second"])), offset)


def test_the_message_names_the_file(tmp_path):
    path = tmp_path / "cut.tfrecord"
    path.write_bytes(written([b"payload"])[:-1])
    with path.open("rb") as stream, pytest.raises(RunError, match=r"cut\.tfrecord must be"):
        list(tfrecord.read(stream))

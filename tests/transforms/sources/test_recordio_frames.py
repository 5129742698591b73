import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.sources import recordio_frames
from facemill.transforms.sources.recordio_frames import DamagedError, Found, Records

MAGIC = struct.pack("<I", 0xCED7230A)
HEADER = struct.pack("<IfQQ", 0, 7, 1, 0)


def frame(kind: int, data: bytes) -> bytes:
    return MAGIC + struct.pack("<I", kind << 29 | len(data)) + data + bytes(-len(data) % 4)


def walked(data: bytes, start: int = 0, end: int | None = None) -> list[Found]:
    return list(Records(io.BytesIO(data), "a.rec").walk(start, end))


ONE = frame(0, HEADER + b"content")
# The record holds the magic number twice, so that it lies in three frames.
THREE = frame(1, HEADER + b"abcd") + frame(2, b"efgh") + frame(3, b"ij")


@pytest.mark.parametrize(
    ("record", "image"),
    [
        (ONE, b"content"),
        (frame(0, HEADER), b""),
        (THREE, b"abcd" + MAGIC + b"efgh" + MAGIC + b"ij"),
        (frame(1, HEADER) + frame(3, b""), MAGIC),
    ],
)
def test_a_record_is_found_and_its_image_read(record, image):
    data = ONE + record + ONE
    begin, end = len(ONE), len(ONE) + len(record)
    found = walked(data)
    assert [(one.offset, one.end) for one in found] == [(0, begin), (begin, end), (end, len(data))]
    assert {(one.labels, one.bare, one.reason) for one in found} == {((7.0,), False, None)}
    assert Records(io.BytesIO(data), "a.rec").image(begin, len(record)) == image


@pytest.mark.parametrize(
    ("labels", "image", "kept"),
    [
        ([3], b"x", (3,)),
        ([3, 4], b"", (3, 4)),
        ([3, 4, 5], b"xyz", (3, 4)),
        ([3, 4, 5], b"", (3, 4)),
    ],
)
def test_labels_lie_between_header_and_image(labels, image, kept):
    values = struct.pack(f"<{len(labels)}f", *labels)
    data = frame(0, struct.pack("<IfQQ", len(labels), 0, 0, 0) + values + image)
    assert walked(data) == [Found(0, len(data), kept, bare=not image)]
    assert Records(io.BytesIO(data), "a.rec").image(0, len(data)) == image


def test_a_walk_yields_the_records_that_begin_in_its_range():
    size = len(ONE)
    assert [one.offset for one in walked(ONE * 4, size, 3 * size)] == [size, 2 * size]
    assert [one.offset for one in walked(ONE * 4, size, 2 * size + 1)] == [size, 2 * size]
    assert walked(ONE * 4, 4 * size) == []


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"\1" + ONE[1:], f"no record begins at byte {len(ONE)} of a.rec: wrong magic number"),
        (frame(2, HEADER), f"frame at byte {len(ONE)} of a.rec is of the wrong kind 2"),
        (frame(5, HEADER), f"frame at byte {len(ONE)} of a.rec is of the wrong kind 5"),
        (frame(1, HEADER), f"frame at byte {len(ONE) + 32} of a.rec is of the wrong kind 0"),
        (frame(0, b"short"), "record of 5 bytes is shorter than its header"),
        (frame(0, struct.pack("<IfQQ", 9, 0, 0, 0)), "record of 24 bytes announces 9 labels"),
        (
            MAGIC + struct.pack("<I", len(HEADER) + 24) + HEADER,
            f"record at byte {len(ONE)} of a.rec has a wrong length: another begins at 72",
        ),
        (
            MAGIC + struct.pack("<I", 1 << 28) + HEADER,
            f"record at byte {len(ONE)} of a.rec is cut off: only 72 bytes are left",
        ),
    ],
)
@pytest.mark.parametrize("block", [8, 12, 1 << 20])
def test_damaged_bytes_are_yielded_once_and_all_other_records_are_found(
    monkeypatch, block, damaged, reason
):
    # Small blocks: the next head lies across two of them.
    monkeypatch.setattr(recordio_frames, "_BLOCK", block)
    data = ONE + damaged + ONE
    begin = len(ONE)
    end = begin + len(damaged)
    assert walked(data) == [
        Found(0, begin, (7.0,)),
        Found(begin, end, reason=reason),
        Found(end, len(data), (7.0,)),
    ]


@pytest.mark.parametrize("cut", range(1, len(ONE)))
def test_a_file_truncated_in_its_second_record_keeps_the_first(cut):
    first, last = walked(ONE + ONE[:cut])
    assert first == Found(0, len(ONE), (7.0,))
    expected = f"record at byte {len(ONE)} of a.rec is cut off: only {cut} bytes are left"
    assert last == Found(len(ONE), len(ONE) + cut, reason=expected)


def test_a_magic_number_that_begins_no_record_is_skipped():
    # At an offset that is no multiple of 4, and as the middle of a record.
    rubbish = b"x" + ONE[:11] + frame(2, b"abcd")
    assert [one.offset for one in walked(rubbish + ONE)] == [0, len(rubbish)]


@pytest.mark.parametrize(("offset", "length"), [(4, 8), (0, len(ONE) + 4), (0, 8), (len(ONE), 40)])
def test_reading_an_image_at_a_wrong_offset_or_length_is_an_error(offset, length):
    with pytest.raises(DamagedError):
        Records(io.BytesIO(ONE), "a.rec").image(offset, length)


@pytest.mark.moderate
@settings(deadline=None, max_examples=200)
@given(
    parts=st.lists(
        st.sampled_from([ONE, THREE, MAGIC, b"abc", b"\0" * 4, ONE[:13], frame(1, HEADER)]),
        max_size=8,
    )
)
def test_a_walk_over_any_bytes_covers_the_whole_file(parts):
    data = b"".join(parts)
    found = walked(data)
    # No byte between two records is skipped or yielded twice.
    assert [one.offset for one in found] == [0, *(one.end for one in found)][: len(found)]
    assert (found[-1].end if found else 0) == len(data)
    records = Records(io.BytesIO(data), "a.rec")
    for one in found:
        if not one.reason:
            assert isinstance(records.image(one.offset, one.end - one.offset), bytes)

import io

import pytest

from facemill.transforms.sources import recordio_list
from facemill.transforms.sources.recordio_frames import DamagedError
from facemill.transforms.sources.recordio_list import Listed, lines_between, parse, places


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # im2rec: index, labels, path.
        (b"17\t3.0\tAda/1.jpg\n", Listed(17, 3.0, "Ada/1.jpg")),
        (b"17\t3\t4\t5\tAda/1.jpg\r\n", Listed(17, 3.0, "Ada/1.jpg")),
        # insightface: aligned, path, label.
        (b"1\tAda/1.jpg\t3\n", Listed(None, 3.0, "Ada/1.jpg")),
        (b"1\tAda/1.jpg\t3\t10\t20\n", Listed(None, 3.0, "Ada/1.jpg")),
        ("17\t3\tZoë.jpg".encode(), Listed(17, 3.0, "Zoë.jpg")),
    ],
)
def test_lines_of_both_kinds(line, expected):
    assert parse(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"17\t3.0",
        b"17 3.0 Ada/1.jpg",
        b"x\t3.0\tAda/1.jpg",
        b"-1\t3.0\tAda/1.jpg",
        b"17\t3.0\t",
        b"1\tAda/1.jpg\tAda",
        b"1\t\t3",
        b"9" * 20 + b"\t3.0\tAda/1.jpg",
        b"17\t3\tZo\xff.jpg",
    ],
)
def test_other_lines_are_of_neither_kind(line):
    assert parse(line) is None


def test_places_of_numbered_lines():
    lines = [b"1\t0\ta.jpg\n", b"2\t0\tbb.jpg\n", b"5\t1\tc.jpg\n"]
    found = places(io.BytesIO(b"".join(lines)), "train.lst", [1, 2, 5])
    ends = [sum(map(len, lines[:number])) for number in range(4)]
    assert found == ends


def test_places_of_lines_without_numbers_begin_at_record_1():
    lines = [b"1\ta.jpg\t0\n", b"1\tbb.jpg\t0\n"]
    found = places(io.BytesIO(b"".join(lines)), "train.lst", [0, 1, 2, 3, 4])
    # The header at key 0 has no line; records 3 and 4 are of identities and stand behind all.
    end = len(b"".join(lines))
    assert found == [0, 0, len(lines[0]), end, end, end]


def test_lines_by_the_number_of_their_record():
    numbered = b"4\t0\ta.jpg\n9\t1\tb.jpg\n"
    found = lines_between(io.BytesIO(numbered), 0, len(numbered), 4)
    assert found == {4: Listed(4, 0, "a.jpg"), 9: Listed(9, 1, "b.jpg")}
    plain = b"1\ta.jpg\t0\nno line\n1\tc.jpg\t2\n"
    found = lines_between(io.BytesIO(plain), 0, len(plain), 7)
    assert found == {7: Listed(None, 0, "a.jpg"), 9: Listed(None, 2, "c.jpg")}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "train.lst is empty"),
        (b"photos\n", "line 1 of train.lst is not an index, a label and a path"),
        (b"1\t0\ta.jpg\n3\t0\tc.jpg\n", "train.lst has no line of record 2 where it must be"),
    ],
)
def test_a_list_of_other_records_is_damaged(content, reason):
    with pytest.raises(DamagedError, match=reason):
        places(io.BytesIO(content), "train.lst", [1, 2])


def test_a_line_of_any_length_is_not_read_at_once(monkeypatch):
    monkeypatch.setattr(recordio_list, "_MAX_LINE", 16)
    content = b"1\t0\ta.jpg\n2\t0\t" + b"b" * 100 + b"\n"
    with pytest.raises(DamagedError, match=r"line 2 of train\.lst has more than 15 bytes"):
        places(io.BytesIO(content), "train.lst", [1, 2])

import io

import pytest

from facemill.transforms.sources.recordio_frames import DamagedError
from facemill.transforms.sources.recordio_list import labels_and_paths, list_cuts


def of_line(line: bytes) -> dict[str, tuple[float, str]]:
    """The label and path of one line, read as that of record 17."""
    return labels_and_paths(io.BytesIO(line), 0, len(line), 17)


@pytest.mark.parametrize(
    "line",
    [
        # im2rec: index, labels, path.
        b"17\t3.0\tAda/1.jpg\n",
        b"17\t3\t4\t5\tAda/1.jpg\r\n",
        # insightface: aligned, path, label.
        b"1\tAda/1.jpg\t3\n",
        b"1\tAda/1.jpg\t3\t10\t20\n",
    ],
)
def test_a_line_of_either_kind_gives_label_and_path(line):
    assert of_line(line) == {"17": (3.0, "Ada/1.jpg")}


def test_a_path_may_have_any_characters():
    assert of_line("17\t3\tZoë.jpg".encode()) == {"17": (3.0, "Zoë.jpg")}


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"17\t3.0", b"17 3.0 Ada/1.jpg", b"x\t3.0\tAda/1.jpg", b"17\t3.0\t"),
        *(b"1\tAda/1.jpg\tAda", b"1\t\t3", b"17\t3\tZo\xff.jpg"),
    ],
)
def test_a_line_of_another_format_gives_nothing(line):
    assert of_line(line) == {}


def test_numbered_lines_are_cut_at_the_records_of_the_cuts():
    lines = [b"1\t0\ta.jpg\n", b"2\t0\tbb.jpg\n", b"5\t1\tc.jpg\n"]
    ends = [sum(map(len, lines[:number])) for number in range(4)]
    assert list_cuts(io.BytesIO(b"".join(lines)), "train.lst", [1, 2, 5]) == ends
    assert list_cuts(io.BytesIO(b"".join(lines)), "train.lst", [1, 5]) == [0, ends[2], ends[3]]


def test_lines_without_numbers_begin_at_record_1():
    lines = [b"1\ta.jpg\t0\n", b"1\tbb.jpg\t0\n"]
    end = len(b"".join(lines))
    # The header at key 0 has no line; records 3 and 4 are of identities and stand behind all.
    found = list_cuts(io.BytesIO(b"".join(lines)), "train.lst", [0, 2, 3, 4])
    assert found == [0, len(lines[0]), end, end, end]


def test_labels_and_paths_are_keyed_by_the_number_of_the_record():
    numbered = b"4\t0\ta.jpg\n9\t1\tb.jpg\n"
    found = labels_and_paths(io.BytesIO(numbered), 0, len(numbered), 4)
    assert found == {"4": (0, "a.jpg"), "9": (1, "b.jpg")}
    plain = b"1\ta.jpg\t0\nno line\n1\tc.jpg\t2\n"
    found = labels_and_paths(io.BytesIO(plain), 0, len(plain), 7)
    assert found == {"7": (0, "a.jpg"), "9": (2, "c.jpg")}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1 of train.lst is not an index, a label and a path"),
        (b"photos\n", "line 1 of train.lst is not an index, a label and a path"),
        (b"1\t0\ta.jpg\n3\t0\tc.jpg\n", "train.lst has no line of record 2 where it must be"),
    ],
)
def test_a_list_of_other_records_is_damaged(content, reason):
    with pytest.raises(DamagedError, match=reason):
        list_cuts(io.BytesIO(content), "train.lst", [1, 2])

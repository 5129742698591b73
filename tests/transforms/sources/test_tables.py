import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms.sources import tables


def _rows(path, data: bytes):
    path.write_bytes(data)
    return list(tables.rows(str(path)))


def test_csv_with_any_line_ends_quotes_and_byte_order_mark(tmp_path):
    path = tmp_path / "a.csv"
    data = b'\xef\xbb\xbfpath, note ,\r\n"a,1.jpg","two\twords ""quoted""",x\r\n\r\nb.jpg,,\r\n'
    assert _rows(path, data) == [
        ("line 2", {"path": "a,1.jpg", "note": 'two\twords "quoted"'}),
        ("line 4", {"path": "b.jpg", "note": None}),
    ]
    assert tables.columns(str(path)) == ["path", "note", ""]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a.jpg", "has 1 cells, but the header has 2"),
        (b"a.jpg,1,2", "has 3 cells, but the header has 2"),
        (b'a.jpg,"1"2', "is no row of CSV: "),
        (b'a.jpg,"' + b"x" * 200_000 + b'"', "is no row of CSV: field larger than field limit"),
        (b"a.jpg," + b"," * (1 << 20), "its line is longer than 1048576 bytes"),
    ],
)
def test_a_bad_row_of_csv_has_a_reason_and_its_neighbors_are_read(tmp_path, line, reason):
    first, (position, row), last = _rows(tmp_path / "a.csv", b"path,n\nx,1\n" + line + b"\nz,3\n")
    assert (first, last) == (
        ("line 2", {"path": "x", "n": "1"}),
        ("line 4", {"path": "z", "n": "3"}),
    )
    assert position == "line 3"
    assert row.startswith(reason)


@pytest.mark.parametrize("again", [False, True])
def test_an_open_quote_hides_no_other_row(tmp_path, again):
    more = [b"z,3"] * 50
    if again:
        # With the next open quote, the rows between the two would be one cell.
        more[20] = b'z",4'
    rows = _rows(tmp_path / "a.csv", b'path,n\nx,1\ny,"2\n' + b"\n".join(more))
    reason = "is no row of CSV: unexpected end of data, a quote is not closed"
    assert rows[:2] == [("line 2", {"path": "x", "n": "1"}), ("line 3", reason)]
    assert [position for position, _ in rows[2:]] == [f"line {number}" for number in range(4, 54)]
    assert sum(row == {"path": "z", "n": "3"} for _, row in rows[2:]) == 50 - again


def test_a_cell_with_a_line_break_is_two_rows_with_a_reason(tmp_path):
    rows = _rows(tmp_path / "a.csv", b'path,n\nx,"a\nb"\ny,1\n')
    assert [position for position, _ in rows] == ["line 2", "line 3", "line 4"]
    assert [isinstance(row, str) for _, row in rows] == [True, True, False]


def test_bytes_that_are_not_utf8_become_surrogates(tmp_path):
    assert _rows(tmp_path / "a.csv", b"path\n\xff\n") == [("line 2", {"path": "\udcff"})]


def test_each_bad_line_of_jsonl_has_a_reason(tmp_path):
    long = b'{"path": "' + b"x" * (1 << 20) + b'"}'
    lines = [b'\xef\xbb\xbf{"path": "a", "": 1, "n": ""}', b"", b"{", b"[1]", long, b'{"m": [1]}']
    rows = _rows(tmp_path / "a.jsonl", b"\n".join(lines))
    assert [position for position, _ in rows] == ["line 1", "line 3", "line 4", "line 5", "line 6"]
    assert rows[0][1] == {"path": "a", "n": None}
    assert rows[1][1].startswith("is no JSON: ")
    assert rows[2][1] == "must be a JSON object, got a list"
    assert rows[3][1] == "its line is longer than 1048576 bytes"
    assert rows[4][1] == {"m": [1]}
    assert tables.columns(str(tmp_path / "a.jsonl")) == ["path", "", "n"]


def test_parquet_leaves_out_bytes_and_a_bad_text_has_a_reason(tmp_path):
    texts = pa.array([b"a", b"\xff", b"c"]).view(pa.string())
    table = pa.table({"path": texts, "image": [b"1", b"2", b"3"], "n": [1, None, 3]})
    pq.write_table(table, tmp_path / "a.parquet")
    first, (position, row), last = tables.rows(str(tmp_path / "a.parquet"))
    assert first == ("row 0", {"path": "a", "n": 1})
    assert (position, row.split(":")[0]) == ("row 1", "holds a value that cannot be read")
    assert last == ("row 2", {"path": "c", "n": 3})


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", "has no header in its first line"),
        ("a.csv", b"\npath\n", "has no header in its first line"),
        ("a.csv", b"\xffpath\n", "has a header that is not UTF-8"),
        (
            "a.csv",
            "path\n".encode("utf-16-le"),
            "has null bytes in its first line; save it as UTF-8",
        ),
        ("a.csv", b'"path\n', "has no header that is CSV"),
        ("a.csv", b"path," + b"," * (1 << 20), "has a first line that is longer than 1048576"),
        ("a.csv", b"path,n,n\n", "has several columns n"),
        ("a.jsonl", b"[]\n{\n", "holds no JSON object"),
        ("a.parquet", b"PAR1", "is no Parquet file"),
    ],
)
def test_a_file_that_is_no_table_is_an_error_with_a_message(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(tables.TableError, match=message):
        tables.columns(str(tmp_path / name))
    for position, row in tables.rows(str(tmp_path / name)):
        assert isinstance(row, str | dict)
        assert position or isinstance(row, str)


def test_a_missing_table_is_one_reason(tmp_path):
    reason = "cannot be read: No such file or directory"
    for suffix in tables.SUFFIXES:
        assert list(tables.rows(str(tmp_path / f"a{suffix}"))) == [("", reason)]

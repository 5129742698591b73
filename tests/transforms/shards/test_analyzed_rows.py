import os

import pyarrow as pa
import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError
from facemill.transforms.dataset.image_metadata import ANALYZED, METADATA
from facemill.transforms.shards import analyzed_rows
from facemill.transforms.shards.analyzed_rows import list_rows, read_rows, write_rows
from tests.artifacts import contents


def table(*identities: str | None) -> pa.Table:
    rows = [
        {
            "identity": identity,
            "channel_mean": [1.5, 2.5, number],
            "channel_square_mean": [4.0, 9.0, number],
            "sharpness": 1.0,
            "brightness": 2.0,
            "contrast": float(number),
        }
        for number, identity in enumerate(identities)
    ]
    return pa.Table.from_pylist(rows, METADATA).select(ANALYZED)


def test_the_rows_that_are_read_are_those_that_were_written(tmp_path):
    rows = pa.concat_tables([table("ada", None), table("Zoë")])
    write_rows(rows, str(tmp_path), "part-0")
    (path,) = list_rows(str(tmp_path))
    assert pa.concat_tables(read_rows(path)).equals(rows)


def test_rows_are_read_a_bounded_number_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(analyzed_rows, "_BATCH", 2)
    write_rows(table("ada", "bob", "eve", "fay", "ian"), str(tmp_path), "part-0")
    (path,) = list_rows(str(tmp_path))
    assert [batch["identity"].to_pylist() for batch in read_rows(path)] == [
        ["ada", "bob"],
        ["eve", "fay"],
        ["ian"],
    ]


def test_work_that_is_done_twice_leaves_the_same_file(tmp_path):
    rows = table("ada", "bob")
    write_rows(rows, str(tmp_path), "part-0")
    once = contents(tmp_path)
    # The same rows in chunks of another size, as a second attempt may read them.
    write_rows(pa.concat_tables([rows.slice(0, 1), rows.slice(1)]), str(tmp_path), "part-0")
    assert contents(tmp_path) == once
    assert len(once) == 1


def test_no_file_is_written_for_no_rows(tmp_path):
    write_rows(table(), str(tmp_path), "part-0")
    assert not list(tmp_path.iterdir())


def test_files_are_listed_in_order_without_those_that_a_killed_worker_left(tmp_path):
    for name in ("part-1", "base-0", "part-0"):
        write_rows(table(name), str(tmp_path), name)
    (tmp_path / "part-2.arrow.tmp-0123456789ab").write_bytes(b"half")
    found = [
        identity
        for path in list_rows(str(tmp_path))
        for batch in read_rows(path)
        for identity in batch["identity"].to_pylist()
    ]
    assert found == ["base-0", "part-0", "part-1"]


def test_a_worker_that_does_not_see_the_folder_reports_it(tmp_path):
    folder = os.path.join(tmp_path, "not mounted", "scratch", "rows")
    with pytest.raises(NotSharedError, match="not mounted"):
        write_rows(table("ada"), folder, "part-0")
    assert not list(tmp_path.iterdir())


def test_rows_on_a_store_equal_those_on_a_disk(root, tmp_path):
    found = []
    (tmp_path / "rows").mkdir()
    for folder in (f"{root}/rows", str(tmp_path / "rows")):
        assert list(list_rows(folder)) == []
        for name in ("part-1", "base-0"):
            write_rows(table("ada", "eve"), folder, name)
        paths = list(list_rows(folder))
        assert [path.rpartition("/")[2].split(".")[0] for path in paths] == ["base-0", "part-1"]
        found.append([storage.read_bytes(path) for path in paths])
        assert pa.concat_tables(read_rows(paths[0])).equals(table("ada", "eve"))
    assert found[0] == found[1]

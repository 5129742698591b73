"""One interface over disks and stores: the same calls give the same results on both."""

import hashlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import MissingPackageError, NotSharedError
from facemill.transforms.storage import FileStat


@pytest.fixture(params=["disk", "store"])
def folder(request, root, tmp_path) -> str:
    """An empty folder on a disk or on either store."""
    return root if request.param == "store" else str(tmp_path / "a folder")


@pytest.fixture
def made(folder) -> str:
    """The folder, made."""
    storage.make_folders(folder)
    return folder


def put(folder: str, name: str, data: bytes) -> str:
    path = storage.join(folder, name)
    storage.make_folders(path.rpartition("/")[0])
    storage.write_atomically(path, data)
    return path


@pytest.mark.moderate
@pytest.mark.parametrize("writer", [storage.write_atomically, storage.write_new])
def test_a_file_is_written_replaced_and_read(made, writer):
    path = storage.join(made, "é #1.bin")
    for data in (b"first", b"", b"the second"):
        writer(path, data)
        assert storage.read_bytes(path) == data
        assert storage.size(path) == len(data)
        assert storage.sha256(path) == hashlib.sha256(data).hexdigest()
    assert storage.names(made) == ["é #1.bin"]


def test_files_and_folders_are_told_apart(made):
    put(made, "deep/a", b"x")
    assert storage.is_file(f"{made}/deep/a")
    assert not storage.is_file(f"{made}/deep")
    assert storage.exists(f"{made}/deep")
    assert not storage.exists(f"{made}/dee")
    assert not storage.is_special(f"{made}/deep/a")
    assert not storage.is_special(f"{made}/none")


def test_listings_are_sorted_by_complete_paths(made):
    names = ["b/2", "b/10", "b-c", "b.d/1", "a/x/y", "c"]
    for name in names:
        put(made, name, b"x")
    assert storage.top_level(made) == ["a/", "b-c", "b.d/", "b/", "c"]
    assert storage.names(made) == ["a", "b", "b-c", "b.d", "c"]
    listed = [entry.name for entry in storage.list_files(made)]
    assert listed == list(storage.walk_files(made)) == sorted(names)
    assert [entry.name for entry in storage.list_files(made, "b/")] == ["b/10", "b/2"]
    assert [entry.name for entry in storage.list_files(made, "c")] == ["c"]


def test_reading_what_is_absent_is_a_file_not_found_error(made):
    absent = f"{made}/none"
    for read in (storage.read_bytes, storage.open_file, storage.size, storage.open_arrow):
        with pytest.raises(FileNotFoundError):
            read(absent)
    for read in (storage.names, storage.top_level):
        with pytest.raises(FileNotFoundError):
            read(absent)
    (error,) = storage.read_many([(absent, 0, None)])
    assert isinstance(error, FileNotFoundError)


def test_what_a_worker_does_not_see_is_a_not_shared_error(made):
    for read in (storage.map_shared, storage.map_array):
        with pytest.raises(NotSharedError, match="none is not there on"):
            read(f"{made}/none")


def test_parts_of_files_are_read_in_order(made):
    path = put(made, "a", bytes(range(100)))
    requests = [(path, 5, 3), (path, 0, None), (path, 98, 9), (path, 7, 0)]
    expected = [bytes(range(5, 8)), bytes(range(100)), bytes([98, 99]), b""]
    assert list(storage.read_many(requests)) == expected
    assert list(storage.read_many([])) == []


def test_a_file_is_copied_within_and_between_disks_and_stores(made, root, tmp_path):
    data = bytes(range(256)) * 5_000
    source = put(made, "a", data)
    targets = [f"{made}/b", f"{root}/c", str(tmp_path / "d")]
    for target, way in zip(
        targets * 2, [storage.copy] * 3 + [storage.link_or_copy] * 3, strict=True
    ):
        storage.remove(target)
        way(source, target)
        assert storage.read_bytes(target) == data


def test_a_removed_folder_is_gone_with_all_below_and_no_neighbor(made):
    for name in ("out/a", "out/deep/b", "out-2/c"):
        put(made, name, b"x")
    storage.remove(f"{made}/out")
    storage.remove(f"{made}/absent")
    assert storage.names(made) == ["out-2"]


def test_touch_makes_an_empty_file(made):
    storage.touch(f"{made}/mark")
    assert storage.read_bytes(f"{made}/mark") == b""


def test_arrow_and_numpy_read_files(made):
    table = pa.table({"a": list(range(1000))})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    path = put(made, "t.parquet", sink.getvalue().to_pybytes())
    for opened in (storage.open_arrow(path), storage.map_shared(path)):
        with opened as source:
            assert pq.read_table(source).equals(table)
    array = np.arange(12).reshape(3, 4)
    with storage.new_file(f"{made}/a.npy") as stream:
        np.save(stream, array)
    np.testing.assert_array_equal(storage.map_array(f"{made}/a.npy"), array)


def test_calls_that_only_disks_need_do_nothing_on_a_store(root, store):
    before = store.proxy.counts.total
    storage.make_folders(f"{root}/a")
    storage.make_folder(f"{root}/a")
    storage.make_new_folder(f"{root}/a")
    storage.sync(f"{root}/a")
    storage.sync_to_disk([f"{root}/a"])
    assert storage.real_path(f"{root}/a") == f"{root}/a"
    assert store.proxy.counts.total == before


def test_a_folder_is_held_by_one_run_at_a_time(made):
    with storage.hold(made) as check:
        check()
    with storage.hold(made) as check:
        check()


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("s3://photos/x", "boto3", "aws"), ("gs://photos/x", "google.cloud", "gcp")],
)
def test_the_error_for_a_missing_client_names_the_extra(monkeypatch, url, package, extra):
    for name in [*sys.modules]:
        if name.startswith("facemill.transforms.storage.stores.") and name.endswith(("s3", "gcs")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"install facemill\[{extra}\]"):
        storage.read_bytes(url)


@pytest.mark.moderate
def test_storage_imports_no_client_and_no_beam_until_a_url_is_read():
    code = (
        "import sys; from facemill.transforms import storage; storage.absolute('s3://a/b', 'x'); "
        "late = {'apache_beam', 'boto3', 'google.cloud.storage', 'pyarrow', 'numpy'}; "
        "assert not late & set(sys.modules), late & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_files_are_described_without_reading_them(made):
    put(made, "a/1.jpg", b"one")
    put(made, "a/b/2.jpg", b"three")
    first = {one.name: one for one in storage.stat_files(made)}
    assert {name: one.size for name, one in first.items()} == {"a/1.jpg": 3, "a/b/2.jpg": 5}
    assert {one.name: one for one in storage.stat_files(made)} == first
    put(made, "a/1.jpg", b"two")
    second = {one.name: one for one in storage.stat_files(made)}
    assert second["a/1.jpg"].version != first["a/1.jpg"].version
    assert second["a/b/2.jpg"] == first["a/b/2.jpg"]
    assert storage.stat_file(made, "a/1.jpg").size == 3
    assert storage.stat_file(made, "a/9.jpg") == FileStat("a/9.jpg", -1, "")

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.storage import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The cache's folder."""
    monkeypatch.setenv("FACEMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FACEMILL_CACHE_BYTES", raising=False)
    return tmp_path / "cache"


def put(root: str, name: str, data: bytes) -> dict:
    storage.write_atomically(f"{root}/{name}", data)
    return {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def cached(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (folder / "files").iterdir())


@pytest.mark.moderate
def test_files_come_in_order_and_are_read_once(root, store, monkeypatch):
    monkeypatch.setattr(cache, "_BLOCK", 7)
    entries = [put(root, f"train/{number}", b"%d" % number * number) for number in range(12)]
    for _ in range(2):
        found = [Path(path).read_bytes() for path in storage.local_files(root, entries)]
        assert found == [b"%d" % number * number for number in range(12)]
        before = store.proxy.counts.total
    list(storage.local_files(f"{root}/", entries))
    assert store.proxy.counts.total == before


def test_files_on_a_disk_are_read_where_they_are(tmp_path, folder):
    entries = [{"path": "train/a", "bytes": 1, "sha256": "0"}]
    assert list(storage.local_files(str(tmp_path), entries)) == [f"{tmp_path}/train/a"]
    assert storage.local_folder(str(tmp_path), entries) == str(tmp_path)
    assert not folder.exists()


@pytest.mark.parametrize("damage", [b"other", b"longer than it was", b"", b"conten"])
def test_a_damaged_object_is_a_run_error_and_is_not_cached(root, folder, damage):
    entry = put(root, "a", b"content")
    storage.write_atomically(f"{root}/a", damage)
    with pytest.raises(RunError, match=f"{root}/a must have the SHA-256 of its manifest"):
        list(storage.local_files(root, [entry]))
    assert list((folder / "files").iterdir()) == []
    storage.write_atomically(f"{root}/a", b"content")
    assert [Path(one).read_bytes() for one in storage.local_files(root, [entry])] == [b"content"]


def test_an_absent_object_is_a_run_error(root, folder):
    entry = put(root, "a", b"content")
    storage.remove(f"{root}/a")
    with pytest.raises(RunError, match=f"{root}/a must exist, but is missing"):
        list(storage.local_files(root, [entry]))
    assert list((folder / "files").iterdir()) == []


def test_the_files_used_longest_ago_make_room(root, folder, monkeypatch):
    monkeypatch.setattr(cache, "_KEPT", 0)
    monkeypatch.setenv("FACEMILL_CACHE_BYTES", "30")
    entries = [put(root, f"{number}", b"%d" % number * 10) for number in range(4)]
    for number, entry in enumerate(entries[:3]):
        (path,) = storage.local_files(root, [entry])
        os.utime(path, (1000 + number, 1000 + number))
    # The first one is used again.
    list(storage.local_files(root, entries[:1]))
    list(storage.local_files(root, entries[3:]))
    assert cached(folder) == [b"0" * 10, b"2" * 10, b"3" * 10]
    assert not cache._pinned


def test_files_that_a_reader_is_about_to_open_stay(root, folder, monkeypatch):
    monkeypatch.setenv("FACEMILL_CACHE_BYTES", "25")
    entries = [put(root, f"{number}", b"%d" % number * 10) for number in range(8)]
    reader = storage.local_files(root, entries)
    paths = [next(reader) for _ in range(4)]
    # Another reader fills the cache meanwhile.
    list(storage.local_files(root, [put(root, "x", b"x" * 20)]))
    assert [Path(path).read_bytes() for path in paths] == [b"%d" % n * 10 for n in range(4)]
    paths += reader
    assert [Path(path).read_bytes() for path in paths[-4:]] == [b"%d" % n * 10 for n in range(4, 8)]
    assert not cache._pinned
    # Once nobody reads them, the bound holds again.
    list(storage.local_files(root, [put(root, "y", b"y" * 20)]))
    assert sum(map(len, cached(folder))) <= 25


def test_what_a_killed_download_left_makes_room_and_a_running_one_stays(root, folder, monkeypatch):
    monkeypatch.setenv("FACEMILL_CACHE_BYTES", "15")
    (folder / "files").mkdir(parents=True)
    for name in ("old.tmp-1", "new.tmp-2"):
        (folder / "files" / name).write_bytes(b"0123456789")
    os.utime(folder / "files/old.tmp-1", (1000, 1000))
    list(storage.local_files(root, [put(root, "a", b"a" * 10)]))
    assert cached(folder) == [b"0123456789", b"a" * 10]
    assert (folder / "files/new.tmp-2").exists()


def test_a_reader_that_fails_or_stops_holds_nothing(root):
    entries = [put(root, f"{number}", b"%d" % number * 10) for number in range(6)]
    reader = storage.local_files(root, entries)
    next(reader)
    reader.close()
    assert not cache._pinned
    storage.write_atomically(f"{root}/2", b"damaged")
    (entries[2],) = ({**entries[2], "sha256": "0" * 64},)
    with pytest.raises(RunError):
        list(storage.local_files(root, entries))
    assert not cache._pinned


def test_of_several_readers_that_want_a_file_one_downloads_it(root, store, folder):
    entry = put(root, "a", b"a" * 1000)
    before = store.proxy.counts.total
    with ThreadPoolExecutor(8) as threads:
        paths = set(threads.map(lambda _: storage.local_file(root, entry), range(8)))
    assert {Path(path).read_bytes() for path in paths} == {b"a" * 1000}
    assert store.proxy.counts.total - before == 1
    assert len(list((folder / "files").iterdir())) == 1
    assert storage.local_file("/data", entry) == "/data/a"


@pytest.mark.parametrize(("size", "expected"), [(50, True), (51, False)])
def test_files_fit_that_leave_half_of_the_cache_to_others(monkeypatch, size, expected):
    monkeypatch.setenv("FACEMILL_CACHE_BYTES", "100")
    assert storage.fits([{"bytes": 0}, {"bytes": size}]) == expected


def test_a_bound_that_is_no_number_is_a_usage_error(root, monkeypatch):
    monkeypatch.setenv("FACEMILL_CACHE_BYTES", "50 GB")
    with pytest.raises(UsageError, match="FACEMILL_CACHE_BYTES must be a number of bytes"):
        list(storage.local_files(root, [put(root, "a", b"a")]))


def test_a_folder_has_the_files_in_their_places_and_nothing_else(root):
    entries = [put(root, "model/a", b"same"), put(root, "model/deep/b", b"same")]
    for _ in range(2):
        made = storage.local_folder(root, entries)
        found = {path.relative_to(made).as_posix() for path in Path(made).rglob("*")}
        assert found == {"model", "model/a", "model/deep", "model/deep/b"}
        assert (Path(made) / "model/deep/b").read_bytes() == b"same"
    assert storage.local_folder(root, list(reversed(entries))) == made
    assert storage.local_folder(root, entries[:1]) != made


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../outside"},
        {"path": "a//b"},
        {"path": "/etc/passwd"},
        {"sha256": "../../outside"},
        {"sha256": "A" * 64},
    ],
)
def test_names_that_lead_out_of_the_cache_are_refused(folder, change):
    entry = {"path": "a", "bytes": 1, "sha256": "0" * 64, **change}
    for read in (storage.local_files, storage.local_folder):
        with pytest.raises(RunError, match="do not use this artifact"):
            list(read("s3://bucket/model", [entry]))
    with pytest.raises(RunError, match="do not use this artifact"):
        storage.local_file("s3://bucket/model", entry)
    assert not folder.exists()


def test_folders_that_nobody_uses_are_removed(root, folder, monkeypatch):
    monkeypatch.setenv("FACEMILL_CACHE_BYTES", "30")
    old = Path(storage.local_folder(root, [put(root, "saved_model/a", b"first model")]))
    os.utime(old, (0, 0))
    new = Path(storage.local_folder(root, [put(root, "saved_model/b", b"second model")]))
    assert not old.exists()
    assert (new / "saved_model" / "b").read_bytes() == b"second model"

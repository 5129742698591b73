import contextlib
import errno
import hashlib
import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.storage import Entry


def test_paths_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert storage.absolute("a/../b", "output") == str(tmp_path / "b")
    assert storage.absolute("~/faces", "output") == "/home/someone/faces"


@pytest.mark.parametrize("path", ["", "gs://bucket/faces", "s3://bucket", "hdfs://host/x"])
def test_an_empty_path_or_a_url_is_refused_where_a_disk_is_needed(path):
    with pytest.raises(UsageError, match=r"^`model` must") as refused:
        storage.absolute(path, "model", on_disk=True)
    assert path in str(refused.value)


def test_a_failed_atomic_write_keeps_the_previous_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    storage.write_atomically(str(path), b"old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            storage.write_atomically(str(path), b"new and longer")
    assert path.read_bytes() == b"old"
    storage.write_atomically(str(path), b"new")
    assert path.read_bytes() == b"new"


def test_writers_with_equal_process_ids_use_different_temporary_files(tmp_path, monkeypatch):
    # As in two containers, whose processes have the same numbers.
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path = str(tmp_path / "file")
    with storage.new_file(path, sync=False) as first:
        first.write(b"first, and longer")
        with storage.new_file(path, sync=False) as second:
            second.write(b"second")
        assert (tmp_path / "file").read_bytes() == b"second"
    assert (tmp_path / "file").read_bytes() == b"first, and longer"


@pytest.mark.parametrize("sync", [True, False])
def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch, sync):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)

    def write(data: bytes | str) -> None:
        with storage.new_file(str(tmp_path / "file"), sync=sync) as stream:
            stream.write(data)

    with pytest.raises(TypeError):
        write("not bytes")
    assert not list(tmp_path.iterdir())
    write(b"bytes")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert len(synced) == (1 if sync else 0)


def test_a_missing_parent_folder_is_an_error_and_is_not_made(tmp_path):
    message = (
        "`output` must be on storage that all workers see at the same path, but .*absent is not"
    )
    with pytest.raises(RunError, match=message):
        storage.make_folder(str(tmp_path / "absent" / "train"))
    with pytest.raises(RunError, match=message):
        storage.write_atomically(str(tmp_path / "absent" / "receipts.json"), b"")
    assert not list(tmp_path.iterdir())
    for _ in range(2):
        storage.make_folder(str(tmp_path / "train"))
    assert [one.name for one in tmp_path.iterdir()] == ["train"]


def test_each_file_and_folder_is_synced_once(tmp_path, monkeypatch):
    for name in ("train/a", "train/deeper/b", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    synced = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    storage.sync_to_disk(str(tmp_path / name) for name in ("train", "c"))
    expected = ["train", "train/a", "train/deeper", "train/deeper/b", "c"]
    assert sorted(synced) == sorted(str(tmp_path / name) for name in expected)


def test_many_files_are_synced_in_one_call(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / name).touch()
    calls = []
    monkeypatch.setattr(storage.local, "_MANY_FILES", 3)
    monkeypatch.setattr(os, "sync", lambda: calls.append("all"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("one"))
    storage.sync_to_disk([str(tmp_path)])
    assert calls == ["all"]


@pytest.mark.parametrize(("code", "raises"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_only_the_lack_of_folder_sync_is_ignored(tmp_path, monkeypatch, code, raises):
    def fsync(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=os.strerror(code)):
        storage.sync(str(tmp_path / "file"))
    with pytest.raises(OSError, match=os.strerror(code)) if raises else contextlib.nullcontext():
        storage.sync(str(tmp_path))


@given(st.binary(max_size=100), st.integers(0, 120), st.integers(0, 120))
@settings(deadline=None, max_examples=60)
def test_a_range_is_read_or_refused_if_the_file_is_too_short(
    tmp_path_factory, data, offset, length
):
    path = tmp_path_factory.mktemp("range") / "file"
    path.write_bytes(data)
    with path.open("rb") as stream:
        if offset + length <= len(data):
            assert storage.read_range(stream, offset, length) == data[offset : offset + length]
        elif length:
            with pytest.raises(RunError, match="changed while the job ran"):
                storage.read_range(stream, offset, length)


def test_walked_files_are_sorted(tmp_path):
    for name in ("b/c.txt", "a.txt", "b/a/z.txt", "b-1.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    expected = [".hidden", "a.txt", "b-1.txt", "b/a/z.txt", "b/c.txt"]
    assert list(storage.walk_files(str(tmp_path))) == expected


def test_the_sha256_of_a_file_covers_all_blocks(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    assert storage.sha256(str(tmp_path / "file")) == hashlib.sha256(data).hexdigest()


def test_remove_removes_files_folders_and_links_but_not_the_targets_of_links(tmp_path):
    (tmp_path / "folder" / "deeper").mkdir(parents=True)
    (tmp_path / "folder" / "deeper" / "file").touch()
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "broken").symlink_to("/does/not/exist")
    for name in ("folder", "link", "broken", "absent"):
        storage.remove(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_listings_are_sorted_by_complete_paths(tmp_path):
    names = ["b/2", "b/10", "b-c", "b.d/1", "a/x/y", "c"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    root = str(tmp_path)
    assert storage.top_level(root) == ["a/", "b-c", "b.d/", "b/", "c"]
    assert list(storage.list_files(root)) == [Entry(name) for name in sorted(names)]
    assert list(storage.list_files(root, "b/")) == [Entry("b/10"), Entry("b/2")]
    assert list(storage.list_files(root, "c")) == [Entry("c")]


def test_a_range_is_read_with_and_without_a_file_descriptor(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    memory = io.BytesIO(b"0123456789")
    memory.name = "memory"
    with storage.open_file(str(tmp_path / "a")) as stream:
        for opened in (stream, memory):
            assert storage.read_range(opened, 3, 4) == b"3456"
            with pytest.raises(RunError, match="must hold 5 bytes at 8, got 2"):
                storage.read_range(opened, 8, 5)


def test_files_with_names_that_are_not_utf8_are_listed_under_unique_names(tmp_path):
    root = os.fsencode(tmp_path)
    names = [
        b"\xff",
        rb"\udcff",
        b"\xff\xff",
        rb"\udcff" + b"\xff",
        rb"\\udcff" + b"\xff",
        rb"\xff",
    ]
    for folder in (b"", b"/a", b"/\xff0", rb"/\udcff0"):
        os.makedirs(root + folder, exist_ok=True)
        for name in names:
            with open(root + folder + b"/" + name, "wb"):
                pass
    entries = list(storage.list_files(str(tmp_path)))
    assert len({entry.name for entry in entries}) == len(entries) == 4 * len(names)
    for entry in entries:
        entry.name.encode("utf-8")
        assert bool(entry.reason) == ("/./" in f"/{entry.name}")


def test_only_the_first_of_two_callers_gets_a_claim(tmp_path):
    path = str(tmp_path / "taken")
    assert storage.claim(path)
    assert not storage.claim(path)
    with pytest.raises(RunError, match="is not there on"):
        storage.claim(str(tmp_path / "absent" / "taken"))

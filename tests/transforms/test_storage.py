import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import storage
from transforms.errors import RunError, UsageError


def test_paths_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert storage.absolute("a/../b", "--output") == str(tmp_path / "b")
    assert storage.absolute("~/faces", "--output") == "/home/someone/faces"


@pytest.mark.parametrize("path", ["", "gs://bucket/faces", "s3://bucket", "hdfs://host/x"])
def test_what_is_no_path_on_a_disk_is_refused(path):
    with pytest.raises(UsageError, match=r"^--model must") as refused:
        storage.absolute(path, "--model")
    assert path in str(refused.value)


def test_a_file_is_seen_whole_or_not_at_all(tmp_path, monkeypatch):
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


@given(st.binary(max_size=100), st.integers(0, 120), st.integers(0, 120))
@settings(deadline=None, max_examples=60)
def test_a_range_is_read_or_refused(tmp_path_factory, data, offset, length):
    path = tmp_path_factory.mktemp("range") / "file"
    path.write_bytes(data)
    with path.open("rb") as stream:
        if offset + length <= len(data):
            assert storage.read_range(stream, offset, length) == data[offset : offset + length]
        elif length:
            with pytest.raises(RunError, match="changed while the job ran"):
                storage.read_range(stream, offset, length)


def test_files_are_listed_in_order(tmp_path):
    for name in ("b/c.txt", "a.txt", "b/a/z.txt", "b-1.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    expected = [".hidden", "a.txt", "b-1.txt", "b/a/z.txt", "b/c.txt"]
    assert list(storage.walk_files(str(tmp_path))) == expected


def test_the_sha256_is_that_of_all_bytes(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    assert storage.sha256(str(tmp_path / "file")) == hashlib.sha256(data).hexdigest()


def test_removing_takes_files_folders_and_links_but_not_what_they_point_to(tmp_path):
    (tmp_path / "folder" / "deeper").mkdir(parents=True)
    (tmp_path / "folder" / "deeper" / "file").touch()
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "broken").symlink_to("/does/not/exist")
    for name in ("folder", "link", "broken", "absent"):
        storage.remove(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]

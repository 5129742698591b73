import io
import os

import pytest

from transforms import storage
from transforms.errors import RunError, UsageError
from transforms.storage import Entry


def test_urls_are_told_from_paths():
    assert storage.is_remote("s3://bucket/x")
    assert storage.is_remote("gs://bucket")
    assert not storage.is_remote("/data/s3://x")
    assert not storage.is_remote("C:/x")


def test_join():
    assert storage.join("s3://bucket/faces/", "Ada/1.jpg") == "s3://bucket/faces/Ada/1.jpg"
    assert storage.join("/faces", "Ada/1.jpg") == os.path.join("/faces", "Ada", "1.jpg")


def test_absolute_takes_urls_only_where_they_are_read(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert storage.absolute("faces", "--input") == str(tmp_path / "faces")
    assert storage.absolute("~/faces", "--input") == "/home/ada/faces"
    assert storage.absolute("s3://bucket/faces/", "--input", remote=True) == "s3://bucket/faces"
    with pytest.raises(UsageError, match="--output must be a path on a disk"):
        storage.absolute("s3://bucket/faces", "--output")
    with pytest.raises(UsageError, match="--input must name a path"):
        storage.absolute("", "--input", remote=True)


def test_listing_is_sorted_by_whole_paths(tmp_path):
    names = ["b/2", "b/10", "b-c", "b.d/1", "a/x/y", "c"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    root = str(tmp_path)
    assert storage.top_level(root) == ["a/", "b-c", "b.d/", "b/", "c"]
    assert list(storage.list_files(root)) == [Entry(name) for name in sorted(names)]
    assert list(storage.list_files(root, "b/")) == [Entry("b/10"), Entry("b/2")]
    assert list(storage.list_files(root, "c")) == [Entry("c")]


def test_a_range_of_a_file_and_of_a_stream_without_a_descriptor(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    memory = io.BytesIO(b"0123456789")
    memory.name = "memory"
    with storage.open_file(str(tmp_path / "a")) as stream:
        for opened in (stream, memory):
            assert storage.read_range(opened, 3, 4) == b"3456"
            with pytest.raises(RunError, match="must hold 5 bytes at 8, got 2"):
                storage.read_range(opened, 8, 5)

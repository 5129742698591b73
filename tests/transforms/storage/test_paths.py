import os
import pickle

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.storage import paths
from facemill.transforms.storage.stores import settings


def test_is_remote_distinguishes_urls_from_paths():
    assert storage.is_remote("s3://bucket/x")
    assert storage.is_remote("gs://bucket")
    assert not storage.is_remote("/data/s3://x")
    assert not storage.is_remote("C:/x")


def test_join_of_a_url_and_of_a_directory():
    assert storage.join("s3://bucket/faces/", "Ada/1.jpg") == "s3://bucket/faces/Ada/1.jpg"
    assert storage.join("/faces", "Ada/1.jpg") == os.path.join("/faces", "Ada", "1.jpg")


def test_paths_and_urls_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert storage.absolute("faces", "input") == str(tmp_path / "faces")
    assert storage.absolute("~/faces", "input") == "/home/ada/faces"
    assert storage.absolute("s3://bucket/faces/", "output") == "s3://bucket/faces"
    assert storage.absolute("gs://bucket", "output") == "gs://bucket"


@pytest.mark.parametrize("url", ["nowhere://x/y", "s3://", "gs:///x", "http://host/x"])
def test_urls_of_no_known_store_are_refused(url):
    with pytest.raises(UsageError, match="must be s3://BUCKET/PATH or gs://BUCKET/PATH, got"):
        storage.absolute(url, "output")
    with pytest.raises(UsageError, match=r"must be s3://BUCKET/PATH or gs://BUCKET/PATH, got"):
        storage.read_bytes(url)


def test_an_empty_path_and_a_url_where_a_disk_is_needed_are_refused():
    with pytest.raises(UsageError, match="`input` must name a path"):
        storage.absolute("", "input")
    with pytest.raises(UsageError, match="`temp` must be a path on a disk"):
        storage.absolute("s3://bucket/faces", "temp", on_disk=True)


@pytest.mark.parametrize("base", ["/data", "s3://bucket", "gs://bucket/deep"])
def test_an_output_inside_an_input_and_the_reverse_are_refused(base):
    read, output = f"{base}/read", f"{base}/output"
    storage.check_apart(read, output)
    storage.check_apart(read, f"{read}-2")
    storage.check_apart(f"{read}-2", read)
    with pytest.raises(UsageError, match=r"^`output` must not lie in `input`, got"):
        storage.check_apart(read, f"{read}/output")
    with pytest.raises(UsageError, match=r"^`output` must not lie in `append_to`, got"):
        storage.check_apart(read, read, "append_to")
    with pytest.raises(UsageError, match=r"^`append_to` must not lie in `output`, got"):
        storage.check_apart(f"{output}/base", output, "append_to")


def test_a_disk_and_a_store_are_always_apart():
    storage.check_apart("gs://bucket/read", "/bucket/read")
    storage.check_apart("/bucket/read", "gs://bucket/read")
    storage.check_apart("s3://bucket/read", "gs://bucket/read")


def test_links_on_a_disk_are_followed_before_paths_are_compared(tmp_path):
    (tmp_path / "read").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "read")
    with pytest.raises(UsageError, match="`output` must not lie in `input`"):
        storage.check_apart(str(tmp_path / "read"), str(tmp_path / "link" / "out"))


@pytest.mark.parametrize(
    ("path", "root", "under"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("s3://x/a/b", "s3://x/a", True),
        ("s3://x/a", "s3://x/a/", True),
        ("s3://x/ab", "s3://x/a", False),
        ("gs://x/a/b", "s3://x/a", False),
        ("/x/a", "s3://x/a", False),
    ],
)
def test_what_lies_under_a_root(path, root, under):
    assert storage.lies_under(path, root) == under


@pytest.mark.parametrize(
    "make",
    [
        lambda url: url,
        lambda url: os.path.join(url, "a", "b.parquet"),
        lambda url: os.path.dirname(os.path.join(url, "a", "")),
        lambda url: paths.join(url, "a/b"),
        lambda url: OutputFiles(url).path("a/b"),
    ],
)
def test_a_url_takes_the_flags_of_the_launcher_to_a_worker(monkeypatch, make):
    monkeypatch.setattr(settings, "_given", settings.Settings(s3_endpoint_url="http://host:1"))
    monkeypatch.setattr(settings, "_launching", False)
    url = make(paths.absolute("s3://bucket/output", "output"))
    data = pickle.dumps(url)
    monkeypatch.setattr(settings, "_given", None)
    assert pickle.loads(data) == url
    assert settings.current().s3_endpoint_url == "http://host:1"

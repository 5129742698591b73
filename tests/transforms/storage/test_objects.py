"""Objects and listings, through the real clients, against emulators of both stores."""

import os
import random

import pytest
from botocore.exceptions import ClientError

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.dataset import DatasetRecords, verify_dataset
from facemill.transforms.sources.folders import NO_FOLDER, Folders
from facemill.transforms.sources.recordio import RecordIO
from facemill.transforms.sources.registry import guess
from facemill.transforms.storage import Entry, objects
from facemill.transforms.storage.stores import access
from facemill.transforms.storage.stores.errors import BucketError
from tests.stores import upload

ODD = "Zoë [1]*?#% é+&=@"
OBJECTS = {
    "faces/Ada/1.jpg": b"ada",
    "faces/Ada/old/2.jpg.gz": b"as it is",
    "faces/Ada/": b"",
    "faces/Ada-L/1.jpg": b"l",
    f"faces/{ODD}/a.jpg": b"zoe",
    "faces/loose.jpg": b"loose",
    "faces-other/Eve/1.jpg": b"eve",
    "rec/train.rec": b"no magic here",
}
FACES = ["Ada-L/", "Ada/", f"{ODD}/", "loose.jpg"]


@pytest.fixture(scope="module")
def url(store) -> str:
    root = store.new_root()
    for name, data in OBJECTS.items():
        objects.write(f"{root}/{name}", data)
    return root


@pytest.mark.moderate
def test_a_source_of_folders_lists_and_reads(url):
    source = Folders(f"{url}/faces")
    refs = [ref for task in source.tasks() for ref in source.refs(task)]
    assert refs == [
        Ref("Ada-L/1.jpg", "Ada-L", "Ada-L/1.jpg"),
        Ref("Ada/1.jpg", "Ada", "Ada/1.jpg"),
        Ref("Ada/old/2.jpg.gz", "Ada", "Ada/old/2.jpg.gz"),
        Ref(f"{ODD}/a.jpg", ODD, f"{ODD}/a.jpg"),
        Ref("loose.jpg", None, "loose.jpg", reason=NO_FOLDER),
    ]
    assert list(source.read(refs[:4])) == [b"l", b"ada", b"as it is", b"zoe"]
    gone = Ref("Ada/9.jpg", "Ada", "Ada/9.jpg")
    assert list(source.read([gone, refs[1]])) == [
        Unreadable("cannot be read: no such object"),
        b"ada",
    ]


def test_a_folder_and_a_bucket_are_listed(url, store):
    assert storage.top_level(f"{url}/faces/") == storage.top_level(f"{url}/faces") == FACES
    assert storage.top_level(url) == ["faces-other/", "faces/", "rec/"]
    assert storage.names(url) == ["faces", "faces-other", "rec"]
    listed = list(storage.list_files(f"{url}/faces", "Ada/"))
    assert listed == [Entry("Ada/1.jpg"), Entry("Ada/old/2.jpg.gz")]
    everything = sorted(name for name in OBJECTS if not name.endswith("/"))
    assert [entry.name for entry in storage.list_files(url)] == everything
    assert list(storage.walk_files(url)) == everything
    assert f"{url.rpartition('/')[2]}/" in storage.top_level(f"{store.url}/")


def test_one_level_is_listed_without_the_names_below(url, store):
    before = store.proxy.counts.received
    storage.top_level(f"{url}/faces")
    one_level = store.proxy.counts.received - before
    list(storage.list_files(f"{url}/faces"))
    everything = store.proxy.counts.received - before - one_level
    # Neither the size nor the time of an object below the level is sent.
    assert one_level < everything


def test_a_listing_goes_on_after_a_page(root, monkeypatch):
    names = [f"{number:04d}/a" for number in range(7)]
    for name in names:
        objects.write(f"{root}/{name}", b"x")
    where = access.parse(root)
    client = access._store(root, where)
    if where.scheme == "s3":
        real = client._client.list_objects_v2
        monkeypatch.setattr(
            client._client, "list_objects_v2", lambda **given: real(**given, MaxKeys=3)
        )
        assert list(storage.walk_files(root)) == names
        assert storage.top_level(root) == [f"{name[:-1]}" for name in names]
    else:
        # The emulator has no pages: this is the client's own view of two of them.
        pages = [(["0000/a", "0001/a"], "next"), (["0002/a"], None)]

        class Page(list):
            prefixes = ()

        def list_blobs(bucket, prefix, page_token, **_):
            assert page_token == (None if len(pages) == 2 else "next")
            found, token = pages.pop(0)
            page = Page(client._bucket.blob(f"{prefix}{name}") for name in found)
            page.next_page_token = token
            return page

        monkeypatch.setattr(client._client, "list_blobs", list_blobs)
        assert list(storage.walk_files(root)) == names[:3]


def test_what_is_absent_is_a_file_not_found_error(url, store):
    for read in (storage.top_level, storage.read_bytes, storage.open_file, storage.size):
        with pytest.raises(FileNotFoundError):
            read(f"{url}/none")
    with pytest.raises(FileNotFoundError):
        storage.copy(f"{url}/none", f"{url}/copied")
    assert list(storage.walk_files(f"{url}/none")) == []
    # Removing what is absent does nothing, as on a disk.
    storage.remove(f"{url}/none")


def test_an_absent_bucket_is_a_usage_error(store):
    absent = f"{store.scheme}://no-such-bucket/faces"
    for work in (storage.top_level, lambda url: storage.write_atomically(url, b"")):
        with pytest.raises(BucketError, match="//no-such-bucket must be an existing bucket"):
            work(absent)


def test_a_refused_listing_is_reported(url, store, monkeypatch):
    client = access._store(url, access.parse(url))

    def refused(*_, **__):
        if store.scheme == "s3":
            answer = {
                "ResponseMetadata": {"HTTPStatusCode": 403},
                "Error": {"Code": "AccessDenied"},
            }
            raise ClientError(answer, "ListObjectsV2")
        from google.api_core.exceptions import Forbidden

        raise Forbidden("no permission")

    name = "list_objects_v2" if store.scheme == "s3" else "list_blobs"
    monkeypatch.setattr(client._client, name, refused)
    with pytest.raises(UsageError, match=r"must be a readable directory.*refuses access"):
        Folders(f"{url}/faces").tasks()


def test_a_stream_is_read_at_any_offset(url):
    with storage.open_file(f"{url}/faces/Ada/old/2.jpg.gz") as stream:
        assert stream.seek(0, os.SEEK_END) == 8
        assert storage.read_range(stream, 3, 2) == b"it"
        assert storage.read_range(stream, 0, 5) == b"as it"
        with pytest.raises(RunError, match="must hold 5 bytes at 6, got 2"):
            storage.read_range(stream, 6, 5)


def test_a_large_stream_is_read_like_a_file(root):
    data = random.Random(3).randbytes(700_000)
    objects.write(f"{root}/large", data)
    draw = random.Random(4)
    with storage.open_file(f"{root}/large") as stream:
        for _ in range(30):
            start, length = draw.randrange(len(data)), draw.choice((0, 1, 1000, 300_000))
            stream.seek(start)
            assert stream.read(length) == data[start : start + length]
        stream.seek(len(data) - 1)
        assert stream.read() == data[-1:]
        stream.seek(0)
        assert stream.read() == data


def test_reading_beyond_the_end_does_not_move_the_end(root):
    objects.write(f"{root}/large", bytes(300_000))
    with storage.open_file(f"{root}/large") as stream:
        stream.seek(1_000_000)
        assert stream.read(10) == b""
        assert stream.seek(0, os.SEEK_END) == 300_000


@pytest.mark.parametrize("length", [0, 1 << 18, (1 << 18) - 1, (1 << 18) + 1])
def test_a_stream_ends_where_the_object_ends(root, length):
    objects.write(f"{root}/file", bytes(length))
    with storage.open_file(f"{root}/file") as stream:
        assert len(stream.read()) == length
        assert stream.read(1) == b""


def test_a_stream_read_in_order_asks_for_ever_larger_parts(root, store):
    objects.write(f"{root}/large", bytes(6 << 20))
    before = store.proxy.counts.total
    with storage.open_file(f"{root}/large") as stream:
        while stream.read(10_000):
            pass
    assert store.proxy.counts.total - before <= 7


def test_two_streams_of_one_thread_do_not_disturb_each_other(url):
    with (
        storage.open_file(f"{url}/faces/Ada/1.jpg") as first,
        storage.open_file(f"{url}/faces/loose.jpg") as second,
    ):
        read = (first.read(1), second.read(2), first.read(), second.read())
    assert read == (b"a", b"lo", b"da", b"ose")


def test_many_parts_are_read_in_order_with_errors_in_their_places(root):
    data = bytes(range(256))
    objects.write(f"{root}/a", data)
    requests = [(f"{root}/a", start, 3) for start in range(0, 200, 7)]
    requests[4:4] = [(f"{root}/none", 0, None), (f"{root}/a", 250, None), (f"{root}/a", 999, 5)]
    found = list(storage.read_many(iter(requests), 5))
    assert isinstance(found.pop(4), FileNotFoundError)
    assert found.pop(4) == data[250:]
    assert found.pop(4) == b""
    assert found == [data[start : start + 3] for start in range(0, 200, 7)]


def test_names_are_not_patterns(url):
    assert storage.is_file(f"{url}/faces/{ODD}/a.jpg")
    assert not storage.is_file(f"{url}/faces/*.jpg")
    assert not storage.is_file(f"{url}/faces/Ada")
    assert storage.exists(f"{url}/faces/Ada")
    assert not storage.exists(f"{url}/faces/Ad")


@pytest.mark.moderate
@pytest.mark.parametrize(
    "name", ["a*b", "a?b", "a[1]b", "a#b", "a%20b", "a b", "é", "a+b", "a&b=c"]
)
def test_objects_with_odd_names_are_written_read_copied_and_removed(root, name):
    path = f"{root}/{name}/{name}"
    objects.write(path, name.encode())
    assert storage.read_bytes(path) == name.encode()
    assert list(storage.walk_files(root)) == [f"{name}/{name}"]
    storage.copy(path, f"{path}-2")
    assert storage.read_bytes(f"{path}-2") == name.encode()
    storage.remove(f"{root}/{name}")
    assert list(storage.walk_files(root)) == []


def test_a_folder_is_removed_with_its_markers_and_without_its_neighbors(root):
    for name in ("out/a", "out/deep/b", "out/", "out/deep/", "out-2/c"):
        objects.write(f"{root}/{name}", b"" if name.endswith("/") else b"x")
    storage.remove(f"{root}/out")
    assert storage.top_level(root) == ["out-2/"]


def test_a_bucket_can_be_an_input(url, store):
    assert not storage.is_file(store.url)
    assert not storage.is_file(f"{store.url}/")
    assert guess(store.url) == "folders"
    assert storage.top_level(f"{store.url}/") == storage.top_level(store.url) != []


def test_a_recordio_source_and_the_guess_of_the_format_read_from_a_store(url):
    assert guess(f"{url}/faces") == "folders"
    assert guess(f"{url}/rec") == "casia-rec"
    source = RecordIO(f"{url}/rec")
    assert source.tasks() == ["all"]
    (ref,) = source.refs("all")
    assert "wrong magic number" in ref.reason


def test_a_missing_input_is_reported_in_a_sentence(url):
    with pytest.raises(UsageError, match=r"`input` must be .*none does not exist"):
        Folders(f"{url}/none").tasks()


@pytest.mark.slow
def test_a_dataset_is_read_and_verified_in_a_store(root, tiny_dataset, monkeypatch):
    # Too large for the cache: each record is read from the store.
    monkeypatch.setenv("FACEMILL_CACHE_BYTES", "1")
    upload(tiny_dataset, f"{root}/dataset")
    there = f"{root}/dataset"
    assert not artifact.is_unfinished(there)
    manifest = artifact.read_manifest(there, "dataset")
    assert manifest == artifact.read_manifest(str(tiny_dataset), "dataset")
    verify_dataset(there, manifest)
    local, remote = (DatasetRecords(one, manifest) for one in (str(tiny_dataset), there))
    refs = [ref for task in remote.tasks() for ref in remote.refs(task)]
    assert refs == [ref for task in local.tasks() for ref in local.refs(task)]
    assert len(refs) == manifest["counts"]["kept"]
    assert list(remote.read(refs[:9])) == list(local.read(refs[:9]))
    objects.write(f"{there}/{refs[0].path}", b"damage" * 9)
    with pytest.raises(RunError, match=f"{there}/{refs[0].path} must be a whole TFRecord file"):
        list(remote.read(refs[:1]))
    storage.remove(f"{there}/{refs[0].path}")
    with pytest.raises(RunError, match=f"^{refs[0].path} must be readable, .*no such object"):
        list(remote.read(refs[:1]))
    objects.write(f"{there}/{remote.tasks()[0]}", b"PAR1")
    with pytest.raises(RunError, match=f"{there}/index/.* must have the SHA-256 of its manifest"):
        list(remote.refs(remote.tasks()[0]))
    objects.write(f"{root}/half/.incomplete", b"{}")
    assert artifact.is_unfinished(f"{root}/half")


@pytest.mark.slow
def test_a_dataset_of_a_store_that_the_cache_can_hold_is_read_through_it(
    root, store, tiny_dataset, monkeypatch, tmp_path
):
    monkeypatch.setenv("FACEMILL_CACHE", str(tmp_path / "cache"))
    upload(tiny_dataset, root)
    manifest = artifact.read_manifest(root, "dataset")
    local, remote = (DatasetRecords(one, manifest) for one in (str(tiny_dataset), root))
    refs = [ref for task in remote.tasks() for ref in remote.refs(task)]
    expected = list(local.read(refs))
    assert list(remote.read(refs)) == expected
    before = store.proxy.counts.total
    assert list(remote.read(refs[::-1])) == expected[::-1]
    assert store.proxy.counts.total == before
    objects.write(f"{root}/{refs[0].path}", b"damage" * 9)
    monkeypatch.setenv("FACEMILL_CACHE", str(tmp_path / "another"))
    with pytest.raises(RunError, match="must have the SHA-256 of its manifest"):
        list(remote.read(refs[:1]))

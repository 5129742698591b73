import hashlib
import random

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError
from facemill.transforms.storage import objects
from facemill.transforms.storage.stores import access


@pytest.mark.parametrize("size", [0, 5, 40])
def test_a_new_object_appears_complete_or_not_at_all(root, monkeypatch, size):
    # Above this size an upload takes another way.
    monkeypatch.setattr(objects, "_IN_MEMORY", 16)
    data = bytes(range(size))
    with storage.new_file(f"{root}/file") as stream:
        stream.write(data)
        assert not storage.is_file(f"{root}/file")
    assert storage.read_bytes(f"{root}/file") == data

    def fail() -> None:
        with storage.new_file(f"{root}/other") as stream:
            stream.write(data)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not storage.is_file(f"{root}/other")


@pytest.mark.slow
def test_a_large_object_is_uploaded_in_parts(root, monkeypatch):
    monkeypatch.setattr(objects, "_IN_MEMORY", 1 << 20)
    storage.touch(f"{root}/running")
    # Twice the same, as when a bundle is tried again, then what replaces it.
    for seed in (5, 5, 6):
        data = random.Random(seed).randbytes((17 << 20) + 3)
        with storage.write_once(f"{root}/large", f"{root}/running") as stream:
            stream.write(data)
        assert storage.sha256(f"{root}/large") == hashlib.sha256(data).hexdigest()
    with storage.new_file(f"{root}/large") as stream:
        stream.write(data[1:])
    assert storage.size(f"{root}/large") == len(data) - 1
    if root.startswith("s3://"):
        client = access._store(root, access.parse(root))
        assert "Uploads" not in client._client.list_multipart_uploads(Bucket=client._bucket)


@pytest.mark.parametrize("in_memory", [16, 1 << 20])
def test_an_object_of_an_artifact_is_written_once(root, store, monkeypatch, in_memory):
    monkeypatch.setattr(objects, "_IN_MEMORY", in_memory)
    storage.touch(f"{root}/running")

    def write(data: bytes) -> None:
        with storage.write_once(f"{root}/part", f"{root}/running") as stream:
            stream.write(data)

    def version() -> object:
        return access.call(f"{root}/part", lambda one, key: one.stat(key)).version

    write(b"a" * 40)
    first = version()
    # A bundle that is tried again finds what it would write, and leaves it.
    write(b"a" * 40)
    assert storage.read_bytes(f"{root}/part") == b"a" * 40
    if store.scheme == "gs":
        assert version() == first
    # What an earlier run left is replaced.
    write(b"b" * 40)
    assert storage.read_bytes(f"{root}/part") == b"b" * 40
    write(b"c" * 41)
    assert storage.read_bytes(f"{root}/part") == b"c" * 41


def test_a_worker_of_a_run_that_has_ended_writes_nothing(root):
    storage.touch(f"{root}/running")
    with storage.write_once(f"{root}/part", f"{root}/running") as stream:
        stream.write(b"in time")
    storage.remove(f"{root}/running")
    for name in ("part", "new"):
        with (
            pytest.raises(NotSharedError, match="running is not there"),
            storage.write_once(f"{root}/{name}", f"{root}/running") as stream,
        ):
            stream.write(b"late")
    assert list(storage.walk_files(root)) == ["part"]
    assert storage.read_bytes(f"{root}/part") == b"in time"


def test_a_store_copies_by_itself(root, store):
    data = random.Random(6).randbytes(100_000)
    objects.write(f"{root}/a", data)
    sent, received = store.proxy.counts.sent, store.proxy.counts.received
    storage.link_or_copy(f"{root}/a", f"{root}/b")
    assert store.proxy.counts.sent - sent < 10_000
    assert store.proxy.counts.received - received < 10_000
    assert storage.read_bytes(f"{root}/b") == data

import hashlib
from pathlib import Path

import pytest
import tensorflow as tf

from facemill.model.data import shard_files
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError

SHARDS = {f"train/part-{number}": b"%d" % number * 9 for number in range(7)}


def entry(name: str, data: bytes) -> dict:
    return {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


MANIFEST = {"files": [entry(name, data) for name, data in sorted(SHARDS.items())]}
# In an order of their own.
ORDER = sorted(SHARDS, reverse=True)


@pytest.fixture
def dataset(root, tmp_path, monkeypatch) -> str:
    """A dataset on a store, and an empty cache."""
    monkeypatch.setenv("FACEMILL_CACHE", str(tmp_path / "cache"))
    shard_files.failure()
    for name, data in SHARDS.items():
        storage.write_atomically(f"{root}/{name}", data)
    return root


def read(paths: tf.data.Dataset) -> list[bytes]:
    return [Path(path.numpy().decode()).read_bytes() for path in paths]


@pytest.mark.moderate
def test_shards_of_a_store_are_read_in_order_again_and_again(dataset, store):
    paths = shard_files.shard_paths(dataset, MANIFEST, ORDER)
    assert paths.element_spec == tf.TensorSpec([], tf.string)
    assert read(paths) == [SHARDS[name] for name in ORDER]
    before = store.proxy.counts.total
    assert read(paths) == [SHARDS[name] for name in ORDER]
    assert store.proxy.counts.total == before
    assert shard_files.failure() is None


def test_readers_that_interleave_shards_find_them(dataset):
    paths = shard_files.shard_paths(dataset, MANIFEST, ORDER)
    contents = paths.interleave(
        lambda path: tf.data.Dataset.from_tensors(tf.io.read_file(path)), cycle_length=4
    )
    assert sorted(one.numpy() for one in contents) == sorted(SHARDS.values())


def test_shards_on_a_disk_are_read_where_they_are(tmp_path):
    paths = shard_files.shard_paths(str(tmp_path), {"files": []}, ORDER)
    assert [path.numpy().decode() for path in paths] == [f"{tmp_path}/{name}" for name in ORDER]


def test_a_damaged_shard_is_an_error_that_can_be_asked_for_once(dataset):
    storage.write_atomically(f"{dataset}/{ORDER[3]}", b"damaged")
    with pytest.raises(tf.errors.OpError):
        read(shard_files.shard_paths(dataset, MANIFEST, ORDER))
    error = shard_files.failure()
    assert isinstance(error, RunError)
    assert f"{dataset}/{ORDER[3]} must have the SHA-256 of its manifest" in str(error)
    assert shard_files.failure() is None


@pytest.mark.parametrize("name", ["train/absent", "../train/part-0", "/train/part-0"])
def test_a_shard_that_the_manifest_does_not_list_is_refused(name):
    with pytest.raises(RunError, match="must l"):
        shard_files.shard_paths("s3://bucket/dataset", MANIFEST, [ORDER[0], name])

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data.load import load_dataset
from facemill.transforms.core.errors import RunError, UsageError
from tests.model import tiny


def gathered(batches: tf.data.Dataset) -> dict[str, np.ndarray]:
    """All batches concatenated, by feature."""
    found = list(batches.as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}


@pytest.fixture
def copied(dataset, tmp_path):
    return shutil.copytree(dataset, tmp_path / "dataset")


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_holds_its_records_with_their_pixels(dataset, split):
    found = gathered(load_dataset(dataset, split, batch_size=7))
    records = tiny.records(dataset, split)
    assert [one.decode() for one in found["image_id"]] == [
        tiny.value(record, "image/id").decode() for record in records
    ]
    assert found["image"].dtype == np.uint8
    assert found["image"].shape == (len(records), tiny.SIZE, tiny.SIZE, 3)
    for image, record in zip(found["image"], records, strict=True):
        encoded = tiny.value(record, "image/encoded")
        decoded = tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE").numpy()
        assert (image == decoded).all()


@pytest.mark.moderate
def test_labels_are_vocabulary_positions_and_minus_one_outside(dataset, transform):
    train = gathered(load_dataset(dataset, "train"))
    names = [name.decode() for name in train["identity"]]
    assert train["label"].dtype == np.int64
    assert [transform.identities[label] for label in train["label"]] == names
    assert set(gathered(load_dataset(dataset, "val"))["label"]) == {-1}


def test_the_last_batch_holds_the_remainder(dataset):
    total = len(tiny.records(dataset, "train"))
    batches = load_dataset(dataset, "train", batch_size=total - 1)
    assert [len(batch["label"]) for batch in batches] == [total - 1, 1]
    assert len(batches) == 2


@pytest.mark.moderate
def test_shuffling_follows_from_the_seed_and_loses_nothing(dataset):
    plain = gathered(load_dataset(dataset, "train"))["image_id"].tolist()
    orders = [
        gathered(load_dataset(dataset, "train", shuffle=True, seed=seed))["image_id"].tolist()
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != plain
    assert sorted(orders[0]) == sorted(orders[2]) == sorted(plain)


def test_only_a_dataset_with_a_weight_rule_gives_weights(dataset, copied):
    assert "weight" not in load_dataset(dataset).element_spec
    manifest = tiny.manifest(copied)
    manifest["options"]["balance"] = [{"kind": "effective-number"}]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    assert load_dataset(copied).element_spec["weight"].dtype == tf.float32


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_error_for_a_split_without_images_names_those_with_images(dataset, split):
    with pytest.raises(UsageError, match=rf"\(train, val\), got '{split}'; choose one"):
        load_dataset(dataset, split)


def test_a_directory_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must be a complete dataset artifact"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("given", [{"batch_size": 0}, {"seed": -1}])
def test_arguments_out_of_range_are_refused(dataset, given):
    with pytest.raises(UsageError, match="1 or more and seed 0 or more"):
        load_dataset(dataset, **given)


def test_a_missing_shard_is_reported(copied):
    shard = copied / tiny.manifest(copied)["splits"]["val"]["shards"][0]
    shard.unlink()
    load_dataset(copied, "train")
    with pytest.raises(RunError, match=rf"{shard.name} must exist, but is missing"):
        load_dataset(copied, "val")


def test_a_shortened_shard_is_reported(copied):
    shard = copied / tiny.manifest(copied)["splits"]["val"]["shards"][0]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(RunError, match="bytes of its manifest"):
        load_dataset(copied, "val")


def test_a_changed_byte_is_reported_with_verify(copied):
    shard = copied / tiny.manifest(copied)["splits"]["val"]["shards"][0]
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    load_dataset(copied, "val")
    with pytest.raises(RunError, match="SHA-256 of its manifest"):
        load_dataset(copied, "val", verify=True)


def test_fewer_records_than_the_manifest_says_fail(copied):
    manifest = tiny.manifest(copied)
    manifest["splits"]["val"]["records"] += 64
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(tf.errors.FailedPreconditionError, match="expected to contain 2 elements"):
        list(load_dataset(copied, "val", batch_size=64))


def test_a_shard_that_the_manifest_does_not_list_is_not_read(copied):
    manifest = tiny.manifest(copied)
    (name,) = manifest["splits"]["val"]["shards"]
    manifest["files"] = [entry for entry in manifest["files"] if entry["path"] != name]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=f"{name} is not"):
        load_dataset(copied, "val")

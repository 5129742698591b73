import collections
import io
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from facemill.model.data.vocabulary import Transform
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact
from tests.model import tiny


def test_labels_are_vocabulary_positions_and_minus_one_for_unknown_identities(dataset, transform):
    counts = collections.Counter(tiny.identity_of(dataset, "train").values())
    assert sorted(transform.identities) == sorted(counts)
    labels = transform.labels(tf.constant(transform.identities)).numpy()
    np.testing.assert_array_equal(labels, np.arange(len(counts)))
    unseen = sorted(set(tiny.identity_of(dataset, "val").values()))
    assert unseen
    assert transform.labels(tf.constant([*unseen, "", "nobody"])).numpy().max() == -1


def test_labels_work_inside_tf_data(transform):
    inside = tf.data.Dataset.from_tensors(list(transform.identities)).map(transform.labels)
    (labels,) = inside
    np.testing.assert_array_equal(labels, np.arange(len(transform.identities)))


def test_moments_are_those_of_the_train_pixels(dataset, transform):
    pixels = np.concatenate(
        [
            np.asarray(Image.open(io.BytesIO(encoded)), np.float64).reshape(-1, 3)
            for encoded in tiny.identity_of(dataset, "train")
        ]
    )
    # Ingest takes the moments before JPEG encoding, which changes a mean very little.
    np.testing.assert_allclose(transform.pixel_mean, pixels.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(transform.pixel_std, pixels.std(axis=0), atol=0.3)


@pytest.fixture
def copy(dataset, tmp_path):
    """A copy of the dataset that a test may damage."""
    return shutil.copytree(dataset, tmp_path / "copy")


def refused(path) -> str:
    with pytest.raises(RunError) as ended:
        Transform(str(path), tiny.manifest(path))
    return str(ended.value)


def test_a_program_that_ingest_did_not_write_is_never_loaded(copy, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "load", lambda path: pytest.fail("it was loaded"))
    folder = copy / "transform" / "transform_fn"
    for name in ("saved_model.pb", "variables/variables.index", "assets/identities"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert f"{name} must have the SHA-256" in refused(copy)
        (folder / name).unlink()
        assert f"{name} must exist, but is missing" in refused(copy)
        (folder / name).write_bytes(content)
    (folder / "saved_model.cpb").write_bytes(b"another program")
    assert "saved_model.cpb is none of them; ingest again." in refused(copy)


@pytest.mark.parametrize("change", ["absent", "not JSON", "[]", "{}", '{"transform": [1]}'])
def test_a_dataset_without_digests_of_its_transform_is_refused(copy, change):
    run = copy / "run.json"
    if change == "absent":
        run.unlink()
    else:
        run.write_text(change)
    assert re.search(r"run.json must list the files .* ingest again\.$", refused(copy))


def test_an_unreadable_transform_is_reported(copy):
    # The file is damaged and its digest matches, so only loading it fails.
    path = copy / "transform" / "transform_fn" / "saved_model.pb"
    path.write_bytes(b"\x07 damaged")
    run = json.loads((copy / "run.json").read_bytes())
    entries = [one for one in run["transform"] if not one["path"].endswith("saved_model.pb")]
    entries.append(artifact.file_entry(str(copy), "transform/transform_fn/saved_model.pb"))
    (copy / "run.json").write_text(json.dumps({"transform": entries}))
    assert re.search(r"transform must be readable.*ingest again\.$", refused(copy))

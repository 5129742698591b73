import collections
import io
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.transform import Transform
from tests.model import tiny
from transforms.errors import RunError


def test_labels_are_places_in_the_vocabulary_and_minus_one_for_strangers(dataset, transform):
    counts = collections.Counter(tiny.identity_of(dataset, "train").values())
    assert sorted(transform.identities) == sorted(counts)
    labels = transform.labels(tf.constant(transform.identities)).numpy()
    np.testing.assert_array_equal(labels, np.arange(len(counts)))
    strangers = sorted(set(tiny.identity_of(dataset, "val").values()))
    assert strangers
    assert transform.labels(tf.constant([*strangers, "", "nobody"])).numpy().max() == -1


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
    # Records hold the moments from before the JPEG encoding, which moves a mean very little.
    np.testing.assert_allclose(transform.pixel_mean, pixels.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(transform.pixel_std, pixels.std(axis=0), atol=0.3)


def test_a_transform_that_cannot_be_read_is_told_in_a_sentence(dataset, tmp_path):
    with pytest.raises(RunError, match=r"transform must be readable.*ingest again"):
        Transform(str(tmp_path))
    shutil.copytree(dataset / "transform", tmp_path / "transform")
    (tmp_path / "transform" / "transform_fn" / "saved_model.pb").write_bytes(b"\x07 damaged")
    with pytest.raises(RunError, match=r"transform must be readable.*ingest again"):
        Transform(str(tmp_path))

import apache_beam as beam
import numpy as np
import pytest

import facemill
from facemill.beam import Embed, ReadImages
from tests.api.running import gathered

pytestmark = pytest.mark.slow


def test_vectors_equal_those_of_the_model_under_the_callers_keys(tiny_photos, tiny_model):
    found = gathered(lambda pipeline: pipeline | ReadImages(tiny_photos) | Embed(tiny_model))
    paths = sorted(path for path in tiny_photos.rglob("*") if path.is_file())
    assert sorted(one.key for one in found) == [str(p.relative_to(tiny_photos)) for p in paths]
    expected = facemill.Model.load(tiny_model)([path.read_bytes() for path in paths])
    vectors = [one.vector for one in sorted(found, key=lambda one: one.key)]
    assert vectors[0].dtype == np.float32
    np.testing.assert_allclose(np.stack(vectors), expected, rtol=0, atol=1e-6)


def test_a_bad_image_has_a_reason_and_the_others_have_vectors(tiny_photos, tiny_model):
    good = next(path for path in sorted(tiny_photos.rglob("*.jpg"))).read_bytes()
    elements = [
        ("a", good),
        ("bad", b"page"),
        ("b", good),
        facemill.beam.Image("c", None, None, "gone"),
    ]
    found = {
        one.key: one
        for one in gathered(
            lambda pipeline: pipeline | beam.Create(elements) | Embed(tiny_model, batch_size=2)
        )
    }
    assert {key: one.reason for key, one in found.items()} == {
        "a": None,
        "b": None,
        "bad": "not an image of a known format",
        "c": "gone",
    }
    assert found["bad"].vector is None
    assert [found[key].reason_code for key in ("a", "bad")] == [None, "not_an_image"]
    assert found["c"].vector is None
    np.testing.assert_array_equal(found["a"].vector, found["b"].vector)


def test_a_path_without_a_model_is_an_error_when_the_pipeline_is_built(tmp_path):
    with pytest.raises(facemill.UsageError, match="must be a complete model artifact"):
        Embed(tmp_path)
    with pytest.raises(facemill.UsageError, match="must be 1 or more"):
        Embed(tmp_path, threads=0)

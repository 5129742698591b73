"""The handler over real SavedModels that are small enough to write by hand."""

import json

import numpy as np
import pytest
import tensorflow as tf

from transforms.errors import RunError, UsageError
from transforms.scoring.model import ModelHandlerForBatches
from transforms.scoring.read import Batch
from transforms.scoring.rows import Failure, Scored
from transforms.sources.base import Ref
from transforms.standardize import encode_jpeg

BATCH = 4


class Means(tf.Module):
    """Mean color; not finite for a black image, and its batch size is part of the result."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def __call__(self, image_bytes):
        def mean(encoded):
            pixels = tf.cast(tf.io.decode_jpeg(encoded, channels=3), tf.float32)
            return tf.reduce_mean(pixels, [0, 1])

        means = tf.map_fn(mean, image_bytes, fn_output_signature=tf.TensorSpec([3], tf.float32))
        size = tf.fill([tf.shape(means)[0], 1], tf.cast(tf.shape(means)[0], tf.float32))
        bright = tf.reduce_sum(means, 1, keepdims=True)
        return {"embedding": tf.concat([means / bright, size], 1)}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    root = tmp_path_factory.mktemp("model")
    module = Means()
    signatures = {"serving_default": module.__call__}
    tf.saved_model.save(module, str(root / "saved_model"), signatures=signatures)
    manifest = {"kind": "model", "schema_version": 1, "model_id": "means", "files": []}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root


def jpeg(red: int, green: int, blue: int) -> bytes:
    return encode_jpeg(np.full((16, 16, 3), (red, green, blue), np.uint8))


def results(artifact, encoded: list[bytes]) -> list:
    handler = ModelHandlerForBatches(str(artifact), "means", BATCH)
    names = [f"{number}.jpg" for number in range(len(encoded))]
    refs = [Ref(name, "a", f"in/{name}") for name in names]
    (found,) = handler.run_inference([Batch(refs, encoded)], handler.load_model())
    assert [(one.image_id, one.source) for one in found] == [(name, f"in/{name}") for name in names]
    return found


@pytest.mark.parametrize("count", [1, 3, 4, 5, 11])
def test_every_image_has_its_own_embedding_and_every_call_is_full(artifact, count):
    encoded = [jpeg(10 * number + 20, 100, 100) for number in range(count)]
    found = results(artifact, encoded)
    vectors = np.stack([np.frombuffer(one.embedding, "<f4") for one in found])
    expected = np.array([10 * number + 20 for number in range(count)], float)
    assert vectors[:, 0] == pytest.approx(expected / (expected + 200), abs=0.01)
    assert set(vectors[:, 3]) == {float(BATCH)}
    assert {one.identity for one in found} == {"a"}


def test_one_image_that_tensorflow_cannot_read_takes_no_other_with_it(artifact):
    good = jpeg(200, 100, 50)
    found = results(artifact, [good, b"no JPEG", good, good, good])
    assert [type(one) for one in found] == [Scored, Failure, Scored, Scored, Scored]
    assert found[1].reason.startswith("the model cannot read it: ")
    assert "\n" not in found[1].reason
    assert len({one.embedding for one in found if isinstance(one, Scored)}) == 1


def test_an_embedding_that_is_not_finite_is_a_failure(artifact):
    found = results(artifact, [jpeg(0, 0, 0), jpeg(200, 100, 50)])
    assert [type(one) for one in found] == [Failure, Scored]
    assert "not finite" in found[0].reason


def test_a_model_that_was_exchanged_is_refused(artifact, tmp_path):
    with pytest.raises(RunError, match="--model must not change while a job runs"):
        ModelHandlerForBatches(str(artifact), "another", BATCH).load_model()
    with pytest.raises(UsageError, match=r"has no manifest\.json"):
        ModelHandlerForBatches(str(tmp_path), "means", BATCH).load_model()

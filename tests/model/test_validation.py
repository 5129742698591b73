import copy

import numpy as np
import pytest
import tensorflow as tf

from model import validation
from model.metrics import verification
from tests.model import tiny


@pytest.fixture(scope="module")
def identity_of(dataset):
    return tiny.identity_of(dataset, "val")


def names(pairs, identity_of):
    def of(rows):
        return [tuple(identity_of[pairs.encoded[place]] for place in row) for row in rows]

    return of(pairs.genuine), of(pairs.impostor)


def test_genuine_pairs_share_an_identity_and_impostors_do_not(dataset, manifest, identity_of):
    pairs = validation.draw(str(dataset), manifest, 1000, seed=1)
    genuine, impostor = names(pairs, identity_of)
    # Images that follow each other in each identity's order: one pair fewer than images.
    identities = set(identity_of.values())
    assert len(identities) >= 3
    assert len(genuine) == len(impostor) == len(identity_of) - len(identities)
    assert all(one == other for one, other in genuine)
    assert all(one != other for one, other in impostor)
    assert {one for one, _ in genuine} == identities
    assert {other for _, other in impostor} == identities
    # No image is paired with itself, and no pair comes twice.
    assert all(one != other for one, other in pairs.genuine)
    assert len({frozenset(row) for row in pairs.genuine.tolist()}) == len(genuine)
    assert len({tuple(row) for row in pairs.impostor.tolist()}) == len(impostor)
    assert len(set(pairs.encoded)) == len(pairs.encoded)


def test_the_draw_follows_from_the_seed(dataset, manifest):
    def drawn(seed, count=1000):
        return validation.draw(str(dataset), manifest, count, seed)

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert again.encoded == first.encoded
    np.testing.assert_array_equal(again.genuine, first.genuine)
    np.testing.assert_array_equal(again.impostor, first.impostor)
    assert other.encoded != first.encoded
    # A smaller draw is the beginning of a larger one, and carries only the images it needs.
    few = drawn(1, count=3)
    assert len(few.genuine) == len(few.impostor) == 3
    assert few.encoded == first.encoded[: len(few.encoded)]
    np.testing.assert_array_equal(few.genuine, first.genuine[:3])
    assert set(few.genuine.ravel()) | set(few.impostor.ravel()) == set(range(len(few.encoded)))


def test_the_draw_does_not_depend_on_the_order_of_records(dataset, manifest, tmp_path):
    path = str(tmp_path / "reversed.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in reversed(tiny.records(dataset, "val")):
            writer.write(record.SerializeToString())
    moved = copy.deepcopy(manifest)
    moved["splits"]["val"]["shards"] = [path]
    first = validation.draw(str(dataset), manifest, 1000, seed=1)
    again = validation.draw(str(dataset), moved, 1000, seed=1)
    assert again.encoded == first.encoded
    np.testing.assert_array_equal(again.impostor, first.impostor)


def test_no_pairs_without_two_identities_or_when_none_are_wanted(dataset, manifest, tmp_path):
    assert validation.draw(str(dataset), manifest, 0, seed=1) is None
    empty = copy.deepcopy(manifest)
    empty["splits"]["val"]["shards"] = []
    assert validation.draw(str(dataset), empty, 10, seed=1) is None
    # One identity has all its images, every other one a single image.
    found = tiny.records(dataset, "val")
    chosen = tiny.value(found[0], "identity")
    seen: set[bytes] = set()
    path = str(tmp_path / "one.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in found:
            identity = tiny.value(record, "identity")
            if identity == chosen or identity not in seen:
                writer.write(record.SerializeToString())
            seen.add(identity)
    empty["splits"]["val"]["shards"] = [path]
    assert validation.draw(str(dataset), empty, 10, seed=1) is None


def test_scores_are_the_cosines_of_the_pairs():
    pairs = validation.Pairs(
        [b"a", b"b", b"c"], np.array([[0, 1], [1, 1]]), np.array([[0, 2], [2, 1]])
    )
    vectors = {b"a": [1.0, 0.0], b"b": [0.6, 0.8], b"c": [0.0, -1.0]}
    scores = validation.score(pairs, lambda encoded: np.array([vectors[one] for one in encoded]))
    np.testing.assert_allclose(scores.genuine, [0.6, 1.0])
    np.testing.assert_allclose(scores.impostor, [0.0, -0.8], atol=1e-12)
    assert scores.metrics == {"accuracy": 1.0, "equal_error_rate": 0.0}


def test_metrics_are_those_of_the_verification_module():
    draw = np.random.default_rng(1)
    scores = validation.Scores(draw.normal(0.3, 0.2, 50), draw.normal(0.0, 0.2, 60))
    curve = verification.roc(scores.genuine, scores.impostor)
    assert 0.5 < scores.metrics["accuracy"] < 1
    assert scores.metrics == {
        "accuracy": verification.best_accuracy(scores.genuine, scores.impostor)[0],
        "equal_error_rate": verification.equal_error_rate(curve)[0],
    }

import collections
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from facemill.model.data import validation_pairs
from facemill.model.metrics import verification
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.keyed import keyed_hash
from tests.model import tiny


@pytest.fixture(scope="module")
def identity_of(dataset):
    return tiny.identity_of(dataset, "val")


def names(pairs, identity_of):
    def of(rows):
        return [tuple(identity_of[pairs.encoded[place]] for place in row) for row in rows]

    return of(pairs.genuine), of(pairs.impostor)


def test_genuine_pairs_share_an_identity_and_impostors_do_not(dataset, manifest, identity_of):
    pairs = validation_pairs.draw(str(dataset), manifest, 1000, seed=1)
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
    # Ids and identities are those of the index.
    assert list(pairs.identities) == [identity_of[one] for one in pairs.encoded]
    assert len(set(pairs.image_ids)) == len(pairs.encoded)
    assert all(
        name.startswith(who) for name, who in zip(pairs.image_ids, pairs.identities, strict=True)
    )


def test_the_draw_follows_from_the_seed(dataset, manifest):
    def drawn(seed, count=1000):
        return validation_pairs.draw(str(dataset), manifest, count, seed)

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


def with_index(dataset, tmp_path, change):
    """A copy of the dataset whose index went through `change`."""
    path = shutil.copytree(dataset, tmp_path / "copy")
    (part,) = (path / "index").iterdir()
    pq.write_table(change(pq.read_table(part)), part)
    return path


def test_the_draw_does_not_depend_on_the_order_of_records(dataset, manifest, tmp_path):
    found = tiny.records(dataset, "val")

    def backwards(index: pa.Table) -> pa.Table:
        val = pc.equal(index["split"], "val")
        moved = pc.if_else(val, pc.subtract(len(found) - 1, index["position"]), index["position"])
        column = index.column_names.index("position")
        return index.set_column(column, "position", moved).take(list(range(len(index)))[::-1])

    path = with_index(dataset, tmp_path, backwards)
    (shard,) = manifest["splits"]["val"]["shards"]
    with tf.io.TFRecordWriter(str(path / shard)) as writer:
        for record in reversed(found):
            writer.write(record.SerializeToString())
    first = validation_pairs.draw(str(dataset), manifest, 1000, seed=1)
    again = validation_pairs.draw(str(path), manifest, 1000, seed=1)
    assert again.encoded == first.encoded
    np.testing.assert_array_equal(again.genuine, first.genuine)
    np.testing.assert_array_equal(again.impostor, first.impostor)


@pytest.mark.parametrize("move", [1, 1000])
def test_an_index_that_does_not_match_the_shards_is_reported_in_a_sentence(
    dataset, manifest, tmp_path, move
):
    def shifted(index: pa.Table) -> pa.Table:
        column = index.column_names.index("position")
        return index.set_column(column, "position", pc.add(index["position"], move))

    path = with_index(dataset, tmp_path, shifted)
    with pytest.raises(RunError, match=r"must hold the images that the index says.*ingest again"):
        validation_pairs.draw(str(path), manifest, 1000, seed=1)


def test_no_pairs_without_two_identities_or_with_a_count_of_0(dataset, manifest, tmp_path):
    assert validation_pairs.draw(str(dataset), manifest, 0, seed=1) is None

    def alone(index: pa.Table) -> pa.Table:
        """One identity with all its images, every other one with a single image."""
        val = index.filter(pc.equal(index["split"], "val")).to_pylist()
        chosen, seen, rows = val[0]["identity"], set(), []
        for row in val:
            if row["identity"] == chosen or row["identity"] not in seen:
                rows.append(row)
            seen.add(row["identity"])
        assert len(seen) > 2
        return pa.Table.from_pylist(rows, schema=index.schema)

    path = with_index(dataset, tmp_path, alone)
    assert validation_pairs.draw(str(path), manifest, 10, seed=1) is None
    empty = with_index(dataset, tmp_path / "empty", lambda index: index.slice(0, 0))
    assert validation_pairs.draw(str(empty), manifest, 10, seed=1) is None


@pytest.mark.moderate
def test_an_impostor_can_be_any_image_of_any_other_identity():
    identities = [f"id{number // 15:02}" for number in range(16 * 15)]
    ids = [f"{identity}/{number:03}.jpg" for number, identity in enumerate(identities)]
    seen = collections.Counter()
    for seed in range(30):
        genuine, impostor = validation_pairs.choose(ids, identities, 1000, seed)
        assert len(genuine) == len(impostor) == 16 * 14
        for first, other in impostor.tolist():
            # How many identities the partner's is after the first one, and which image of it.
            drawn = sorted(ids[other // 15 * 15 :][:15], key=lambda x: keyed_hash(seed, "pairs", x))
            seen[(other // 15 - first // 15) % 16, drawn.index(ids[other])] += 1
    # All of the 15 x 15 combinations; each is expected 30 times.
    assert len(seen) == 15 * 15
    assert 8 < min(seen.values()) <= max(seen.values()) < 62


def test_scores_are_the_cosines_of_the_pairs():
    pairs = validation_pairs.Pairs(
        [b"a", b"b", b"c"], np.array([[0, 1], [1, 1]]), np.array([[0, 2], [2, 1]])
    )
    vectors = {b"a": [1.0, 0.0], b"b": [0.6, 0.8], b"c": [0.0, -1.0]}
    scores = validation_pairs.score(
        pairs, lambda encoded: np.array([vectors[one] for one in encoded])
    )
    np.testing.assert_allclose(scores.genuine, [0.6, 1.0])
    np.testing.assert_allclose(scores.impostor, [0.0, -0.8], atol=1e-12)
    assert scores.metrics == {"accuracy": 1.0, "equal_error_rate": 0.0}


def test_metrics_are_those_of_the_verification_module():
    draw = np.random.default_rng(1)
    scores = validation_pairs.Scores(draw.normal(0.3, 0.2, 50), draw.normal(0.0, 0.2, 60))
    curve = verification.roc(scores.genuine, scores.impostor)
    assert 0.5 < scores.metrics["accuracy"] < 1
    assert scores.metrics == {
        "accuracy": verification.best_accuracy(scores.genuine, scores.impostor)[0],
        "equal_error_rate": verification.equal_error_rate(curve)[0],
    }


def test_the_hardest_pairs_are_the_lowest_genuine_and_the_highest_impostors():
    scores = validation_pairs.Scores(np.array([0.5, 0.1, 0.9, 0.1]), np.array([0.2, 0.8, 0.2]))
    genuine, impostor = validation_pairs.hardest(scores, 3)
    assert genuine.tolist() == [1, 3, 0]
    assert impostor.tolist() == [1, 0, 2]

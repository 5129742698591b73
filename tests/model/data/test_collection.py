"""Collections of one dataset and itself, as two datasets whose identities have equal names."""

import copy
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data import balanced_batches, pairs_of_several, tfdata, validation_pairs
from facemill.model.data.aliases import Names
from facemill.model.data.collection import Collection, Part, check_alike
from facemill.model.recipes.choices import MERGE, SEPARATE
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import ParameterError
from tests.model import tiny

RECIPE = Recipe(batch_size=12, flip=False, crop=0.0, color_jitter=0.0, seed=4)


@pytest.fixture(scope="module")
def collect(dataset, manifest, transform):
    def build(how, aliases=None) -> Collection:
        part = Part(str(dataset), manifest, transform)
        return Collection([part, part], Names(how, aliases or {}))

    return build


def test_the_vocabulary_is_the_sorted_union(collect, transform):
    first, second, *_ = transform.identities
    merged, separate = collect(MERGE), collect(SEPARATE)
    assert merged.identities == tuple(sorted(transform.identities))
    assert merged.in_several == len(transform.identities)
    assert separate.identities == tuple(
        sorted(f"{number}/{name}" for number in (1, 2) for name in transform.identities)
    )
    assert separate.in_several == 0
    joined = collect(SEPARATE, {(0, first): "Ada", (1, second): "Ada"})
    assert len(joined.identities) == 2 * len(transform.identities) - 1
    assert joined.in_several == 1
    keys = [joined.key(tf.constant(number), name) for number, name in ((0, first), (1, second))]
    others = [joined.key(tf.constant(0), second), tf.constant("3/nobody")]
    ada = joined.identities.index("Ada")
    labels = joined.labels(tf.stack([*keys, *others])).numpy().tolist()
    assert labels == [ada, ada, joined.identities.index(f"1/{second}"), -1]
    assert joined.trained_names() == sorted({*transform.identities, "Ada"})


def test_moments_are_those_of_all_records_together():
    rng = np.random.default_rng(3)
    images = [rng.normal(90 + 40 * number, 20, (50 * (number + 1), 3)) for number in range(3)]
    parts = []
    for pixels in images:
        moments = SimpleNamespace(
            identities=("a", "b"), pixel_mean=pixels.mean(axis=0), pixel_std=pixels.std(axis=0)
        )
        described = {
            "options": {"image_size": 32},
            "preprocessing": {},
            "splits": {"train": {"records": len(pixels), "identities": 2, "shards": ["s"]}},
            "files": [{"path": "s", "bytes": 7}, {"path": "other", "bytes": 1}],
        }
        parts.append(Part("d", described, moments))
    found = Collection(parts, Names(MERGE))
    together = np.concatenate(images)
    np.testing.assert_allclose(found.pixel_mean, together.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.pixel_std, together.std(axis=0), rtol=1e-6)
    assert found.manifest["splits"]["train"] == {"records": 300, "identities": 2, "bytes": 21}
    assert found.manifest["splits"]["val"] == {"records": 0, "identities": 0, "bytes": 0}


def read(collection, recipe=RECIPE, epoch=0, first=0, **part):
    found = tfdata.batches("", collection.manifest, collection, recipe, epoch, first, **part)
    return [tuple(one.numpy() for one in batch) for batch in found]


def flat(batches):
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


@pytest.fixture(scope="module")
def truth(dataset):
    """The identity of each image by its pixels."""
    return {
        tfdata.decode(encoded, tiny.SIZE).numpy().tobytes(): identity
        for encoded, identity in tiny.identity_of(dataset, "train").items()
    }


@pytest.mark.moderate
@pytest.mark.parametrize("balanced", [0, 2])
def test_batches_hold_images_of_both_with_the_labels_of_their_own_dataset(
    collect, manifest, truth, balanced
):
    records = manifest["splits"]["train"]["records"]
    collection = collect(SEPARATE)
    recipe = dataclasses.replace(RECIPE, images_per_identity=balanced)
    batches = read(collection, recipe)
    assert len(batches) == 2 * records // 12
    pixels, labels, weights = flat(batches)
    assert set(weights.tolist()) == {1.0}
    names = [collection.identities[label] for label in labels]
    assert [name[2:] for name in names] == [truth[one.astype(np.uint8).tobytes()] for one in pixels]
    # Each identity of each dataset has as many images as the others.
    counts = {name: names.count(name) for name in collection.identities}
    if balanced:
        assert max(counts.values()) - min(counts.values()) <= 2
    else:
        assert set(counts.values()) == {2 * records // len(collection.identities)}
    # Merged, both show images of one identity.
    _, merged, _ = flat(read(collect(MERGE), recipe))
    assert set(merged.tolist()) == set(range(len(collection.identities) // 2))


@pytest.mark.moderate
@pytest.mark.parametrize("balanced", [0, 2])
def test_an_epoch_can_be_entered_anywhere_and_is_divided_among_workers(collect, balanced):
    recipe = dataclasses.replace(RECIPE, images_per_identity=balanced)
    collection = collect(SEPARATE)
    whole = read(collection, recipe)
    for one, other in zip(flat(read(collection, recipe, first=5)), flat(whole[5:]), strict=True):
        np.testing.assert_array_equal(one, other)
    parts = [read(collection, recipe, worker=worker, workers=2) for worker in range(2)]
    for step, batch in enumerate(whole):
        for one, other in zip(flat([part[step] for part in parts]), batch, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(flat(whole)[1], flat(read(collection, recipe, epoch=1))[1])


def test_weights_of_one_dataset_are_read_beside_another_without(
    dataset, manifest, transform, tmp_path
):
    def change(index, record):
        record.features.feature["weight"].float_list.value.append(0.5 + index % 2)

    path = tiny.resharded(dataset, tmp_path / "weighted", 2, change)
    described = tiny.manifest(path)
    described["options"]["balance"] = [{"kind": "effective-number", "amount": 0.9, "column": None}]
    parts = [Part(str(dataset), manifest, transform), Part(str(path), described, transform)]
    weights = flat(read(Collection(parts, Names(MERGE))))[2]
    half = manifest["splits"]["train"]["records"]
    assert sorted(weights.tolist()) == sorted([1.0] * half + [0.5, 1.5] * (half // 2))


def test_the_index_of_a_collection_is_read_once(collect):
    collection = collect(MERGE)
    recipe = dataclasses.replace(RECIPE, images_per_identity=2)
    first = balanced_batches.of("", collection.manifest, collection, recipe)
    assert balanced_batches.of("", collection.manifest, collection, recipe).rows is first.rows


def test_pairs_are_of_all_val_splits_and_leave_out_whom_a_train_split_has(
    collect, dataset, manifest, transform
):
    own = validation_pairs.draw(str(dataset), manifest, 1000, 1)
    val = sorted(set(own.identities))
    trained = transform.identities[0]
    pairs, left_out = pairs_of_several.draw(collect(MERGE), 1000, 1)
    assert left_out == 0
    assert set(pairs.identities) == set(val)
    assert len(pairs.encoded) == 2 * len(own.encoded)
    jpegs = dict(zip(own.image_ids, own.encoded, strict=True))
    for name, encoded in zip(pairs.image_ids, pairs.encoded, strict=True):
        assert name[:2] in ("1/", "2/")
        assert jpegs[name[2:]] == encoded
    # The person of the second dataset's val split is trained on, under another name, in the first.
    aliases = {(1, val[0]): trained}
    pairs, left_out = pairs_of_several.draw(collect(MERGE, aliases), 1000, 1)
    assert left_out == 1
    assert {name[:2] for name, who in zip(pairs.image_ids, pairs.identities, strict=True)
            if who == val[0]} == {"1/"}  # fmt: skip
    separate, left_out = pairs_of_several.draw(collect(SEPARATE), 3, 1)
    assert len(separate.genuine) == len(separate.impostor) == 3
    assert left_out == 0
    assert pairs_of_several.draw(collect(SEPARATE), 0, 1) == (None, 0)


def test_datasets_of_other_sizes_or_crops_are_refused(manifest):
    check_alike([("a", manifest), ("b", copy.deepcopy(manifest))])
    other = copy.deepcopy(manifest)
    other["preprocessing"] |= {"image_size": 64, "align": "detect"}
    said = (
        r"^`dataset` must have images of one size, alignment and crop in all datasets, but a has "
        r"align center, image size 32 and b has align detect, image size 64; ingest one of them"
    )
    with pytest.raises(ParameterError, match=said):
        check_alike([("a", manifest), ("b", other)])

import collections
import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from facemill.model.data import tfdata
from facemill.model.recipes.recipe import Recipe
from tests.model import tiny

AUGMENTED = Recipe(batch_size=10, flip=True, crop=0.2, color_jitter=0.2, erase=0.5, seed=4)
PLAIN = Recipe(batch_size=10, flip=False, crop=0.0, color_jitter=0.0, erase=0.0, seed=4)


@pytest.fixture(scope="module")
def sharded(dataset, tmp_path_factory):
    """The tiny dataset, its train split in three shards."""
    return tiny.resharded(dataset, tmp_path_factory.mktemp("sharded") / "dataset", 3)


def read(path, transform, recipe, epoch=0, first=0):
    found = tfdata.batches(str(path), tiny.manifest(path), transform, recipe, epoch, first)
    return [tuple(one.numpy() for one in batch) for batch in found]


def same(one, other):
    return len(one) == len(other) and all(
        np.array_equal(mine, theirs)
        for a, b in zip(one, other, strict=True)
        for mine, theirs in zip(a, b, strict=True)
    )


@pytest.mark.moderate
def test_batches_follow_from_seed_and_epoch(sharded, transform):
    first = read(sharded, transform, AUGMENTED)
    assert same(read(sharded, transform, AUGMENTED), first)
    assert not same(read(sharded, transform, AUGMENTED, epoch=1), first)
    other = Recipe(**{**AUGMENTED.__dict__, "seed": 5})
    assert not same(read(sharded, transform, other), first)
    for pixels, labels, weights in first:
        np.testing.assert_array_equal(weights, np.ones(10, np.float32))
        assert pixels.shape == (10, tiny.SIZE, tiny.SIZE, 3)
        assert pixels.dtype == np.float32
        assert labels.dtype == np.int64
        assert pixels.min() >= 0
        assert pixels.max() <= 255


@pytest.mark.moderate
@pytest.mark.parametrize("first", [1, 3])
def test_an_epoch_can_be_entered_at_any_batch(sharded, transform, first):
    complete = read(sharded, transform, AUGMENTED, epoch=2)
    assert len(complete) > 3
    assert same(read(sharded, transform, AUGMENTED, epoch=2, first=first), complete[first:])


@pytest.mark.moderate
def test_the_shares_of_workers_are_the_batches_of_one(sharded, transform):
    complete = read(sharded, transform, AUGMENTED, epoch=1)
    described = tiny.manifest(sharded)
    parts = [
        [
            [one.numpy() for one in batch]
            for batch in tfdata.batches(
                str(sharded), described, transform, AUGMENTED, 1, 1, worker=worker, workers=2
            )
        ]
        for worker in range(2)
    ]
    joined = [
        tuple(np.concatenate(both) for both in zip(*pair, strict=True))
        for pair in zip(*parts, strict=True)
    ]
    assert same(joined, complete[1:])


@pytest.mark.moderate
def test_the_fast_order_has_the_same_images(sharded, transform):
    def shown(recipe):
        pixels = [one for batch, *_ in read(sharded, transform, recipe) for one in batch]
        return sorted(one.tobytes() for one in pixels)

    everything = dataclasses.replace(AUGMENTED, batch_size=1)
    assert shown(dataclasses.replace(everything, order="fast")) == shown(everything)


@pytest.mark.moderate
def test_an_epoch_shows_every_record_once_with_its_label_but_for_the_remainder(sharded, transform):
    encoded = tiny.identity_of(sharded, "train")
    labels = {
        np.asarray(Image.open(io.BytesIO(one)), np.float32).tobytes(): identity
        for one, identity in encoded.items()
    }
    assert len(labels) == len(encoded)
    orders = []
    for epoch in range(2):
        found = read(sharded, transform, PLAIN, epoch)
        steps = tfdata.steps_per_epoch(tiny.manifest(sharded), PLAIN.batch_size)
        assert len(found) == steps == len(encoded) // 10
        # There is a remainder, or leaving it out would not be tested.
        assert len(encoded) % 10
        shown = [one.tobytes() for pixels, *_ in found for one in pixels]
        assert max(collections.Counter(shown).values()) == 1
        names = [transform.identities[label] for _, batch, _ in found for label in batch]
        assert names == [labels[one] for one in shown]
        orders.append(shown)
    assert orders[0] != orders[1]


def gains(path, transform, epoch: int, batch_size: int = 10) -> list[tuple[bytes, float]]:
    """The pixels of each record of an epoch, in order, and the factor by which color jitter changed
    their mean."""
    plain = dataclasses.replace(PLAIN, batch_size=batch_size)
    # The jitter is weak, so that clipping at black and white does not hide the factor.
    lit = dataclasses.replace(plain, color_jitter=0.02)
    before = read(path, transform, plain, epoch)
    after = read(path, transform, lit, epoch)
    return [
        (image.tobytes(), float(other.mean() / image.mean()))
        for (images, *_), (others, *_) in zip(before, after, strict=True)
        for image, other in zip(images, others, strict=True)
    ]


@pytest.mark.moderate
def test_augmentation_follows_from_the_image_and_the_epoch(sharded, transform):
    first, second = (dict(gains(sharded, transform, epoch)) for epoch in range(2))
    assert len(set(first.values())) == len(first)
    both = first.keys() & second.keys()
    assert len(both) > 20
    assert all(first[image] != second[image] for image in both)
    # The batch size does not matter.
    other = dict(gains(sharded, transform, 0, batch_size=7))
    assert len(first.keys() & other.keys()) > 20
    for image in first.keys() & other.keys():
        assert first[image] == pytest.approx(other[image], abs=1e-6)


@pytest.mark.moderate
def test_copies_of_an_image_are_augmented_differently_and_reproducibly(
    dataset, transform, tmp_path
):
    found = tiny.records(dataset, "train")
    chosen = found[0]

    def change(index: int, record: tf.train.Example) -> None:
        # Copies of the first record replace others; ingest numbers them from 1 on.
        if index < 3:
            record.CopyFrom(chosen)
            if index:
                seed = record.features.feature["augmentation_seed"]
                seed.int64_list.value.append(index)

    path = tiny.resharded(dataset, tmp_path / "copies", 1, change)
    everything = len(found) // 2 * 2
    epochs = [gains(path, transform, epoch, everything // 2) for epoch in (0, 1, 0)]
    image = np.asarray(Image.open(io.BytesIO(tiny.value(chosen, "image/encoded"))), np.float32)
    lit = [[gain for one, gain in epoch if one == image.tobytes()] for epoch in epochs]
    assert lit[0] == lit[2]
    for epoch in lit:
        # One copy may be in the remainder that an epoch leaves out.
        assert len(epoch) >= 2
        assert len(set(epoch)) == len(epoch)
    assert not set(lit[0]) & set(lit[1])


def test_a_label_of_nobody_ends_the_epoch(dataset, transform, tmp_path):
    def change(index: int, record: tf.train.Example) -> None:
        if index == 3:
            record.features.feature["identity"].bytes_list.value[0] = b"nobody"

    path = tiny.resharded(dataset, tmp_path / "unknown", 1, change)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in the vocabulary"):
        read(path, transform, dataclasses.replace(PLAIN, batch_size=5))


def test_a_split_smaller_than_a_batch_has_no_step(manifest):
    records = manifest["splits"]["train"]["records"]
    assert tfdata.steps_per_epoch(manifest, records) == 1
    assert tfdata.steps_per_epoch(manifest, records + 1) == 0


def test_pixels_are_those_that_ingest_decoded(dataset):
    encoded = list(tiny.identity_of(dataset, "train"))
    (first, *_) = tfdata.images(encoded, tiny.SIZE, batch_size=5)
    expected = [np.asarray(Image.open(io.BytesIO(one)).convert("RGB")) for one in encoded[:5]]
    np.testing.assert_array_equal(first.numpy(), np.stack(expected))


def test_images_keep_their_order_and_the_last_batch(dataset):
    encoded = list(tiny.identity_of(dataset, "train"))[:7]
    batches = [batch.numpy() for batch in tfdata.images(encoded, tiny.SIZE, batch_size=3)]
    assert [len(batch) for batch in batches] == [3, 3, 1]
    alone = [tfdata.decode(tf.constant(one), tiny.SIZE).numpy() for one in encoded]
    np.testing.assert_array_equal(np.concatenate(batches), np.stack(alone))


def test_weights_go_with_their_images(dataset, transform, tmp_path):
    def change(index: int, record: tf.train.Example) -> None:
        encoded = tiny.value(record, "image/encoded")
        record.features.feature["weight"].float_list.value.append(len(encoded) / 1000)

    path = tiny.resharded(dataset, tmp_path / "weighted", 2, change)
    described = tiny.manifest(path)
    assert not tfdata.weighted(described)
    described["options"]["balance"] = [{"kind": "cap", "amount": 9.0, "column": None}]
    assert not tfdata.weighted(described)
    described["options"]["balance"] += [{"kind": "effective-number", "amount": 0.9, "column": None}]
    assert tfdata.weighted(described)
    expected = {
        np.asarray(Image.open(io.BytesIO(one)), np.float32).tobytes(): len(one) / 1000
        for one in tiny.identity_of(path, "train")
    }
    found = tfdata.batches(str(path), described, transform, PLAIN, 0)
    shown = [
        (weight, expected[one.tobytes()])
        for pixels, _, weights in found.as_numpy_iterator()
        for one, weight in zip(pixels, weights, strict=True)
    ]
    assert len(shown) > 20
    assert len(set(shown)) > 10
    for weight, truth in shown:
        assert weight == np.float32(truth)

import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.data.balanced_plan import Plan, identities_per_batch
from facemill.transforms.core.errors import ParameterError

SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=12)


@pytest.mark.moderate
@given(SIZES, st.integers(1, 6), st.integers(0, 3), st.integers(0, 40), st.integers(2, 12))
def test_a_batch_has_p_identities_with_k_images_each(sizes, images, epoch, index, identities):
    identities = min(identities, len(sizes))
    owner = np.repeat(np.arange(len(sizes)), sizes)
    plan = Plan(np.array(sizes), identities, images, seed=7)
    rows, repeats = plan.batch(epoch, index)
    found = collections.Counter(owner[rows].tolist())
    assert len(found) == identities
    assert set(found.values()) == {images}
    # An image that comes again is another copy of it, so no two are augmented alike.
    assert len(set(zip(rows.tolist(), repeats.tolist(), strict=True))) == len(rows)
    # An image comes again only when all of its identity have come.
    for identity in found:
        mine = owner[rows] == identity
        assert len(set(rows[mine].tolist())) == min(images, sizes[identity])
    # Every batch follows from its numbers alone, whatever was asked before.
    again = Plan(np.array(sizes), identities, images, seed=7).batch(epoch, index)
    np.testing.assert_array_equal(again, (rows, repeats))


@given(SIZES, st.integers(1, 4), st.integers(1, 5))
def test_identities_come_equally_often_and_show_all_their_images(sizes, images, rounds):
    plan = Plan(np.array(sizes), len(sizes), images, seed=1)
    shown = collections.Counter()
    for index in range(rounds):
        rows, _ = plan.batch(0, index)
        shown.update(rows.tolist())
    owner = np.repeat(np.arange(len(sizes)), sizes)
    for identity, size in enumerate(sizes):
        counts = [shown[row] for row in np.flatnonzero(owner == identity).tolist()]
        assert sum(counts) == rounds * images
        assert max(counts) - min(counts) <= 1, size


def test_epochs_rounds_and_seeds_have_orders_of_their_own():
    sizes = np.full(40, 5)
    batches = [
        tuple(Plan(sizes, 10, 2, seed).batch(epoch, index)[0].tolist())
        for seed in (1, 2)
        for epoch in (0, 1)
        for index in range(8)
    ]
    assert len(set(batches)) == len(batches)


@pytest.mark.parametrize(
    ("batch", "images", "said"),
    [
        (10, 3, "must divide the batch of 10 images into two identities or more, got 3"),
        (10, 10, "must divide the batch of 10 images into two identities or more, got 10"),
        (12, 2, "at most the 5 identities of the train split in a batch, got 6 in a batch of 12"),
    ],
)
def test_a_batch_that_cannot_be_balanced_is_refused(batch, images, said):
    with pytest.raises(ParameterError, match=said):
        identities_per_batch(batch, images, 5)

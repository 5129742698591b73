from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.dataset.splits import (
    SPLIT_REQUEST,
    draw_splits,
    resolve_split_requests,
    split_requests,
)

USUAL = (("train", 0.8), ("val", 0.1), ("test", 0.1))
NAMES = [f"id{number:05d}" for number in range(10_000)]


def split_of(identity, seed, fractions) -> str:
    hashes = np.array([keyed_hash(seed, "split", identity)], np.uint64)
    return SPLITS[draw_splits(hashes, fractions)[0]]


shares = st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any)


@pytest.mark.moderate
@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**32), shares)
@settings(deadline=None, max_examples=200)
def test_every_identity_is_in_a_split_with_a_share(identity, seed, given_shares):
    total = sum(given_shares)
    fractions = [(name, share / total) for name, share in zip(SPLITS, given_shares, strict=True)]
    found = split_of(identity, seed, fractions)
    assert dict(fractions)[found] > 0
    assert found == split_of(identity, seed, fractions)


def test_splits_have_their_shares():
    counts = Counter(split_of(name, 1, USUAL) for name in NAMES)
    # Four standard deviations of a binomial count.
    assert abs(counts["train"] - 8000) < 4 * 40
    assert abs(counts["val"] - 1000) < 4 * 30


def test_the_split_of_an_identity_does_not_depend_on_other_identities():
    few = {name: split_of(name, 1, USUAL) for name in NAMES[::7]}
    everyone = {name: split_of(name, 1, USUAL) for name in reversed(NAMES)}
    assert few.items() <= everyone.items()


def test_a_greater_share_of_train_removes_no_identity_from_it():
    more = (("train", 0.9), ("val", 0.05), ("test", 0.05))
    for name in NAMES[:2000]:
        if split_of(name, 1, USUAL) == "train":
            assert split_of(name, 1, more) == "train"


@pytest.mark.moderate
def test_another_seed_draws_other_splits():
    moved = sum(split_of(name, 1, USUAL) != split_of(name, 2, USUAL) for name in NAMES)
    # Two independent draws differ with probability 1 - (0.64 + 0.01 + 0.01).
    assert moved == pytest.approx(3400, abs=200)


def test_shares_that_sum_below_1_still_cover_all_identities():
    fractions = (("train", 0.0), ("val", 1e-9), ("test", 0.0))
    assert {split_of(name, 1, fractions) for name in NAMES[:100]} == {"val"}


pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 2)))


@given(pairs, st.lists(st.integers(0, 6)))
@settings(deadline=None, max_examples=100)
def test_the_split_requests_of_images_apply_to_their_identities(images, wanted):
    identities, splits = (
        np.array(column, np.int64) for column in zip(*[(0, 0), *images], strict=True)
    )
    requests = split_requests(identities.astype(np.uint64), splits)
    assert requests.dtype == SPLIT_REQUEST
    expected = {(identity, split) for identity, split in images if identity and split >= 0}
    assert requests.tolist() == sorted(expected)
    keys = np.array(wanted, np.uint64)
    # In any order, and some of them twice.
    split, several = resolve_split_requests(keys, np.concatenate([requests[::-1], requests[:2]]))
    for identity, found, more in zip(wanted, split.tolist(), several.tolist(), strict=True):
        requested = {split for key, split in expected if key == identity}
        assert found == min(requested, default=-1)
        assert more == (len(requested) > 1)

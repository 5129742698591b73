from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.selection import weights

classes = st.lists(st.integers(0, 5), min_size=1, max_size=40)
quick = settings(deadline=None, max_examples=100)


def keys_of(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(count).astype(np.uint64)


def grouped(found: list[int], values) -> dict[int, list]:
    groups = defaultdict(list)
    for one, value in zip(found, np.asarray(values).tolist(), strict=True):
        groups[one].append(value)
    return groups


@given(classes, st.integers(0, 99))
@quick
def test_ranks_are_a_permutation_within_each_class(found, seed):
    keys = keys_of(len(found), seed)
    rank, size = weights.ranks(np.array(found), [keys])
    sizes = Counter(found)
    assert size.tolist() == [sizes[one] for one in found]
    for one, ranks in grouped(found, rank).items():
        assert sorted(ranks) == list(range(sizes[one]))
        mine = sorted(grouped(found, keys)[one])
        # The lower the key, the lower the rank.
        assert [mine[rank] for rank in ranks] == grouped(found, keys)[one]


@given(classes, st.integers(0, 99), st.randoms(use_true_random=False))
@quick
def test_ranks_do_not_depend_on_the_order_of_rows(found, seed, random):
    keys = keys_of(len(found), seed)
    order = list(range(len(found)))
    random.shuffle(order)
    rank, _ = weights.ranks(np.array(found), [keys])
    again, _ = weights.ranks(np.array(found)[order], [keys[order]])
    assert again.tolist() == rank[order].tolist()


def test_the_first_preference_decides_and_the_next_breaks_ties():
    first, second = np.array([1, 0, 1, 0]), np.array([7, 9, 6, 8])
    rank, _ = weights.ranks(np.zeros(4, int), [first, second])
    assert rank.tolist() == [3, 1, 2, 0]


def oversampled(found: list[int], keys: np.ndarray, copies: np.ndarray, least: int) -> np.ndarray:
    rank, size = weights.ranks(np.array(found), [keys])
    return weights.oversampled(copies, rank, size, weights.sums(np.array(found), copies), least)


@given(classes, st.integers(0, 99))
@quick
def test_each_image_gets_the_sum_over_its_class(found, seed):
    counts = np.random.default_rng(seed).integers(1, 9, len(found))
    expected = {one: sum(mine) for one, mine in grouped(found, counts).items()}
    assert weights.sums(np.array(found), counts).tolist() == [expected[one] for one in found]


@given(classes, st.integers(0, 99), st.integers(1, 30), st.integers(1, 3))
@quick
def test_oversampling_reaches_the_minimum_and_spreads_evenly(found, seed, least, start):
    keys = keys_of(len(found), seed)
    before = np.full(len(found), start, np.int64)
    copies = oversampled(found, keys, before, least)
    sizes = Counter(found)
    for one, mine in grouped(found, copies).items():
        assert sum(mine) == max(least, start * sizes[one])
        assert max(mine) - min(mine) <= 1
        assert min(mine) >= start
        # The remainder goes to the preferred images.
        by_key = [number for _, number in sorted(zip(grouped(found, keys)[one], mine, strict=True))]
        assert by_key == sorted(by_key, reverse=True)


@given(classes, st.integers(0, 99), st.integers(1, 30))
@quick
def test_oversampling_takes_no_copy_away(found, seed, least):
    before = np.random.default_rng(seed).integers(1, 9, len(found))
    copies = oversampled(found, keys_of(len(found), seed), before, least)
    assert (copies >= before).all()
    for one, mine in grouped(found, copies).items():
        assert sum(mine) == max(least, sum(grouped(found, before)[one]))


@pytest.mark.parametrize("beta", [0.0, 1e-300, 0.5, 0.9, 0.9999, 1 - 1e-9, 1 - 2**-53])
def test_effective_number_weights_are_those_of_the_paper(beta):
    sizes = [1, 2, 3, 10, 70]
    found = weights.effective_number_weights(np.array(sizes), beta)
    exact = Fraction(beta)
    for size, weight in zip(sizes, found.tolist(), strict=True):
        assert weight == pytest.approx(float((1 - exact) / (1 - exact**size)), rel=1e-12)


def test_weights_of_large_classes_keep_their_digits():
    # For beta near 1 the effective number is n minus n (n - 1) / 2 times what is missing to 1.
    missing, size = 2.0**-40, 100_000
    (found,) = weights.effective_number_weights(np.array([size]), 1 - missing)
    assert found == pytest.approx(1 / (size - size * (size - 1) / 2 * missing), rel=1e-12)


def test_beta_0_weights_images_equally_and_beta_near_1_weights_classes_equally():
    sizes = np.array([1, 5, 500])
    assert weights.effective_number_weights(sizes, 0.0).tolist() == [1, 1, 1]
    found = weights.effective_number_weights(sizes, 1 - 1e-12)
    np.testing.assert_allclose(found * sizes, 1, rtol=1e-6)

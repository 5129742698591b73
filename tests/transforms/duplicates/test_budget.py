import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.duplicates import budget
from facemill.transforms.duplicates.candidates import PAIR, PairRows


def random_pairs(seed: int, images: int, count: int) -> np.ndarray:
    """Different pairs of few images, so that each has many candidates."""
    rng = np.random.default_rng(seed)
    pairs = np.zeros(count, PAIR)
    ends = np.sort(rng.integers(0, images, (count, 2)), axis=1)
    pairs["first"], pairs["second"] = ends[:, 0], ends[:, 1] + 1
    pairs["variant"] = rng.integers(0, 2, count)
    pairs["distance"] = rng.integers(0, 16, count)
    return pairs[np.unique(pairs[["first", "second", "variant"]], return_index=True)[1]]


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_what_is_kept_does_not_depend_on_parts_or_order(seed: int, groups: int) -> None:
    pairs = random_pairs(seed, 6, 600)
    whole = budget.nearest(pairs)
    rng = np.random.default_rng(seed)
    assert np.array_equal(budget.nearest(rng.permutation(pairs)), whole)
    # Any division that keeps the pairs of an owner together has the same pairs.
    group = budget.owners(pairs) % np.uint64(groups)
    parts = [budget.nearest(pairs[group == one]) for one in range(groups)]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.sort(whole))


def test_each_owner_keeps_its_nearest_candidates_and_stays_in_one_element() -> None:
    pairs = random_pairs(3, 40, 9000)
    kept = budget.nearest(pairs)
    owner, variants = budget.owners(kept), kept["variant"] > 0
    every, every_variant = budget.owners(pairs), pairs["variant"] > 0
    for one in np.unique(owner):
        for kind in (False, True):
            mine = kept["distance"][(owner == one) & (variants == kind)]
            all_of_it = np.sort(pairs["distance"][(every == one) & (every_variant == kind)])
            assert mine.tolist() == all_of_it[: budget.MAX_CANDIDATES].tolist()
    parts = [part.array for part in budget.chunks(kept)]
    assert np.array_equal(np.concatenate(parts), kept)
    seen = [set(budget.owners(part).tolist()) for part in parts]
    assert len(parts) > 3
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_of_the_variants_of_two_images_the_nearest_is_kept() -> None:
    pairs = np.zeros(5, PAIR)
    pairs["first"], pairs["second"] = [1, 1, 2, 2, 3], [2, 2, 1, 1, 4]
    pairs["variant"], pairs["distance"] = [0, 4, 9, 5, 1], [12, 7, 3, 3, 9]
    kept = budget.nearest(pairs)
    assert sorted(kept.tolist()) == [(1, 2, 0, 12), (2, 1, 5, 3), (3, 4, 1, 9)]


def test_what_is_a_copy_as_a_whole_is_not_compared_as_a_variant() -> None:
    pairs = random_pairs(7, 60, 900)
    again = pairs[pairs["variant"] == 0].copy()
    again["first"], again["second"] = again["second"].copy(), again["first"].copy()
    again["variant"] = 7
    pairs = budget.nearest(np.concatenate([pairs[pairs["variant"] == 0], again]))
    copies = (pairs["first"] + pairs["second"]) % 2 == 0
    compared: list[int] = []

    def by_sum(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compared.extend(some.tolist())
        return copies[some], np.zeros(len(some), bool)

    done = budget.compare_within_budget(pairs, by_sum)
    variants = pairs["variant"][compared] > 0
    assert 0 < variants.sum() < (~variants).sum()
    confirmed = {
        frozenset((pairs["first"][row], pairs["second"][row]))
        for row in compared
        if copies[row] and pairs["variant"][row] == 0
    }
    for row in range(len(pairs)):
        if frozenset((pairs["first"][row], pairs["second"][row])) in confirmed:
            assert done[row]
            assert pairs["variant"][row] == 0 or row not in compared


def test_groups_and_elements_have_all_pairs_that_fit() -> None:
    pairs = random_pairs(4, 300, 4000)
    grouped = list(budget.by_owner(PairRows.of(pairs), 1 << 18))
    assert len(grouped) > 1
    found = [one.array for key, rows in grouped for one in budget.nearest_of_owners((key, [rows]))]
    assert np.array_equal(np.sort(np.concatenate(found)), np.sort(pairs))


@pytest.mark.parametrize(
    ("close", "most"), [(True, budget.MAX_CLOSE_FAILURES), (False, budget.MAX_FAILURES)]
)
def test_an_image_that_only_fails_is_compared_so_often_and_no_more(close: bool, most: int) -> None:
    pairs = budget.nearest(random_pairs(5, 40, 6000))
    pairs = pairs[pairs["variant"] == 0]
    compared: list[int] = []

    def fails(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compared.extend(some.tolist())
        return np.zeros(len(some), bool), np.full(len(some), close)

    done = budget.compare_within_budget(pairs, fails)
    assert sorted(compared) == np.flatnonzero(done).tolist()
    owner = budget.owners(pairs)
    for image in np.unique(owner):
        mine = owner == image
        assert done[mine].sum() == min(most, mine.sum())
        assert done[mine][: done[mine].sum()].all()


def test_an_image_with_copies_is_compared_with_all_its_candidates() -> None:
    pairs = budget.nearest(random_pairs(6, 40, 6000))
    all_copies = budget.compare_within_budget(
        pairs, lambda some: (np.ones(len(some), bool), np.ones(len(some), bool))
    )
    assert all_copies.all()


def test_a_crowded_image_is_compared_by_likeness_and_gives_up_sooner() -> None:
    pairs = budget.nearest(random_pairs(8, 12, 4000))
    pairs = pairs[pairs["variant"] == 0]
    owner = budget.owners(pairs)
    likeness = np.random.default_rng(8).uniform(0.3, 1, len(pairs))
    # One owner is not crowded.
    usual = owner == owner[0]
    likeness[usual] = np.nan
    compared: list[int] = []

    def fails(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compared.extend(some.tolist())
        return np.zeros(len(some), bool), np.zeros(len(some), bool)

    done = budget.compare_within_budget(pairs, fails, likeness)
    assert sorted(compared) == np.flatnonzero(done).tolist()
    assert np.flatnonzero(done & usual).tolist() == list(range(budget.MAX_FAILURES))
    for one in np.unique(owner[~usual]):
        likely = likeness[(owner == one) & (likeness >= budget.MIN_LIKENESS)]
        tried = likeness[(owner == one) & done]
        assert (
            sorted(tried, reverse=True)
            == (sorted(likely, reverse=True)[: budget.MAX_CROWD_FAILURES])
        )


def test_no_pairs_need_no_comparison() -> None:
    none = np.empty(0, PAIR)
    assert len(budget.compare_within_budget(none, lambda some: (some, some))) == 0
    assert list(budget.chunks(budget.nearest(none))) == []

"""Exact search: equal to brute force, whatever the division, the order and the ties."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.search import exact


def unit(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)


def draw(seed: int, count: int, size: int, distinct: int | None = None) -> np.ndarray:
    """Unit rows; of `distinct` kinds, so that the others are copies."""
    rng = np.random.default_rng(seed)
    rows = unit(rng.standard_normal((distinct or count, size)))
    return rows if distinct is None else rows[rng.integers(distinct, size=count)]


def brute(probes, gallery, names, k, own=None):
    """(name, score) lists of each probe, by exact products in float64."""
    found = []
    for number, probe in enumerate(probes):
        scores = (probe.astype(np.float64) * gallery).sum(axis=1).astype(np.float32)
        rows = [row for row in range(len(gallery)) if own is None or own[number] != row]
        rows.sort(key=lambda row: (-scores[row], names[row]))
        found.append([(names[row], scores[row]) for row in rows[:k]])
    return found


def search(probes, gallery, names, k, own=None, pool=None):
    order = np.argsort(np.argsort(names))
    found = exact.nearest(probes, gallery, order, k, own, pool)
    return [
        [
            (names[row], score)
            for row, score in zip(rows, scores, strict=True)
            if row != exact.NOTHING
        ]
        for rows, scores in zip(found.rows, found.scores, strict=True)
    ]


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 60),
    size=st.sampled_from([2, 3, 17]),
    k=st.integers(1, 12),
    distinct=st.sampled_from([None, 1, 2, 7]),
    itself=st.booleans(),
)
def test_search_equals_brute_force(seed, count, size, k, distinct, itself):
    gallery = draw(seed, count, size, distinct)
    names = [f"n{number}" for number in np.random.default_rng(seed).permutation(count)]
    probes = gallery if itself else draw(seed + 1, 9, size)
    own = np.arange(count) if itself else None
    assert search(probes, gallery, names, k, own) == brute(probes, gallery, names, k, own)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(1, 299), max_size=3),
    distinct=st.sampled_from([None, 3, 40]),
)
def test_shards_in_any_order_merge_to_the_same_neighbors(seed, cuts, distinct):
    gallery, probes = draw(seed, 300, 8, distinct), draw(seed + 1, 20, 8)
    names = [f"n{number:03d}" for number in np.random.default_rng(seed).permutation(300)]
    edges = [0, *sorted(set(cuts)), 300]
    rows = []
    for start, stop in itertools.pairwise(edges):
        found = search(probes, gallery[start:stop], names[start:stop], 5)
        rows += [(number, *one) for number, some in enumerate(found) for one in some]
    np.random.default_rng(seed).shuffle(rows)
    numbers, ids, scores = zip(*rows, strict=True)
    numbers, scores = np.array(numbers, int), np.array(scores, np.float32)
    chosen, ranks = exact.best_of(numbers, ids, scores, 5)
    merged = [[] for _ in probes]
    for row in chosen:
        merged[numbers[row]].append((ids[row], scores[row]))
    assert merged == brute(probes, gallery, names, 5)
    assert ranks.tolist() == [1, 2, 3, 4, 5] * len(probes)


def test_more_copies_than_candidates_are_ordered_by_name(monkeypatch):
    gallery = np.repeat(draw(1, 1, 16), 500, axis=0)
    names = [f"n{number:03d}" for number in np.random.default_rng(3).permutation(500)]
    found = search(gallery[:1], gallery, names, 4)
    assert [name for name, _ in found[0]] == ["n000", "n001", "n002", "n003"]


def test_threads_and_blocks_change_no_bit(monkeypatch):
    gallery, probes = draw(5, 3000, 128), draw(6, 500, 128)
    order = np.arange(3000)
    whole = exact.nearest(probes, gallery, order, 10)
    monkeypatch.setattr(exact, "_PROBES", 7)
    with ThreadPoolExecutor(3) as pool:
        parts = exact.nearest(probes, gallery, order, 10, pool=pool)
    assert whole.rows.tobytes() == parts.rows.tobytes()
    assert whole.scores.tobytes() == parts.scores.tobytes()


@pytest.mark.parametrize("k", [1, 5])
def test_a_small_gallery_leaves_places_empty(k):
    gallery = draw(1, 3, 4)
    found = exact.nearest(gallery, gallery, np.arange(3), k, np.arange(3))
    filled = min(k, 2)
    assert (found.rows[:, filled:] == exact.NOTHING).all()
    assert np.isneginf(found.scores[:, filled:]).all()
    assert (found.rows[:, :filled] >= 0).all()


def test_no_probe_or_no_gallery_has_no_neighbor():
    gallery = draw(1, 3, 4)
    assert exact.nearest(gallery[:0], gallery, np.arange(3), 2).rows.shape == (0, 2)
    none = exact.nearest(gallery, gallery[:0], np.arange(0), 2)
    assert (none.rows == exact.NOTHING).all()


def test_the_bound_of_rounding_holds():
    left, right = draw(1, 4000, 512), draw(2, 4000, 512)
    exactly = (left.astype(np.float64) * right).sum(axis=1)
    single = np.array([np.dot(a, b) for a, b in zip(left, right, strict=True)])
    assert np.abs(single - exactly).max() < exact.rounding(512)

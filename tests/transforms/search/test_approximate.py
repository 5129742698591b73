"""Approximate search: most of the exact neighbors, the same ones every time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from facemill.transforms.search import approximate, exact
from facemill.transforms.search.methods import EXACT, HNSW, IVF
from tests.embedding_sets import draw

GALLERY, PROBES = draw(1, 300, 10, 32, 0.5), draw(2, 300, 1, 32, 0.5)
ORDER = np.arange(len(GALLERY))


def rows(method: str, pool=None) -> np.ndarray:
    candidates = approximate.build(method, GALLERY)
    return exact.nearest(PROBES, GALLERY, ORDER, 5, None, pool, candidates).rows


@pytest.mark.parametrize("method", [IVF, HNSW])
def test_most_neighbors_are_found_and_the_same_with_threads(method):
    exactly, found = rows(EXACT), rows(method)
    shared = [len(set(a) & set(b)) for a, b in zip(exactly, found, strict=True)]
    assert sum(shared) > 0.7 * exactly.size
    with ThreadPoolExecutor(3) as pool:
        assert (rows(method, pool) == found).all()


@pytest.mark.parametrize("method", [IVF, HNSW])
def test_a_gallery_of_a_few_rows_is_searched(method):
    candidates = approximate.build(method, GALLERY[:2])
    found = exact.nearest(PROBES[:3], GALLERY[:2], ORDER[:2], 4, None, None, candidates)
    assert (np.sort(found.rows[:, :2], axis=1) == [0, 1]).all()
    assert (found.rows[:, 2:] == exact.NOTHING).all()


def test_the_exact_search_has_no_index():
    assert approximate.build(EXACT, GALLERY) is None

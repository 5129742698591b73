import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.metrics import confused
from facemill.model.metrics.confused import most_confused


def vectors_of(seed: int, count: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=20), st.integers(1, 12))
def test_the_cosines_are_the_means_over_all_pairs_of_images(identities, count):
    vectors = vectors_of(len(identities), len(identities))
    names = np.array(identities)
    expected = sorted(
        (
            (vectors[names == one].astype(np.float64) @ vectors[names == other].T).mean()
            for one, other in itertools.combinations(sorted(set(identities)), 2)
        ),
        reverse=True,
    )[:count]
    found = most_confused(vectors, identities, count, 2)
    np.testing.assert_allclose([one.cosine for one in found], expected, atol=1e-6)
    for one in found:
        assert len({identities[row] for row in one.first}) == 1
        assert len({identities[row] for row in one.second}) == 1
        assert {identities[row] for row in one.first} != {identities[row] for row in one.second}


def test_the_images_are_those_that_are_most_like_the_other_identity():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], np.float32)
    (found, *_) = most_confused(vectors, ["a", "a", "b", "c"], 1, 2)
    assert (found.first, found.second) == ((1, 0), (2,))
    assert found.cosine == pytest.approx(0.4)


def test_one_identity_is_confused_with_nobody():
    assert most_confused(vectors_of(1, 3), ["a", "a", "a"], 5, 2) == []


def test_blocks_change_nothing(monkeypatch):
    names = [str(index % 17) for index in range(40)]
    expected = most_confused(vectors_of(2, 40), names, 9, 1)
    monkeypatch.setattr(confused, "_BLOCK", 3)
    found = most_confused(vectors_of(2, 40), names, 9, 1)
    assert [one.first + one.second for one in found] == [one.first + one.second for one in expected]

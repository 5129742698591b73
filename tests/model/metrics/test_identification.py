import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from facemill.model.metrics import identification
from facemill.model.metrics.identification import NOBODY, cmc, count_ahead, rank_rates, search


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def draw(seed: int, people: int = 6, probes: int = 20, size: int = 3):
    """Probes and a gallery with two images of each identity, with many confusions."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), 2)
    centers = rng.normal(size=(people, size))
    who = rng.integers(-1, people, probes)
    gallery = unit(centers[labels] + 0.7 * rng.normal(size=(2 * people, size)))
    return unit(centers[who] + 0.7 * rng.normal(size=(probes, size))), who, gallery, labels


def test_by_hand():
    gallery = unit([[1, 0], [0, 1], [1, 1]])
    found = search(unit([[1, 0], [1, 0.1], [0, 1]]), np.array([7, 3, NOBODY]), gallery, [7, 3, 7])
    assert found.rank.tolist() == [1, 2, 0]
    assert found.mate_row.tolist() == [0, 1, NOBODY]
    assert found.other_row.tolist() == [1, 0, 1]
    assert found.mate[0] == pytest.approx(1)
    assert found.mated[0] == found.mate[0]
    assert np.isneginf(found.mated[1:]).all()
    rates = rank_rates(found.rank[:2], (1, 2))
    assert [(row.rank, row.found, row.rate) for row in rates] == [(1, 1, 0.5), (2, 2, 1.0)]
    assert cmc(found.rank[:2], 3).tolist() == [0.5, 1, 1]


def test_a_probe_that_is_as_like_another_identity_is_not_found():
    same = unit([[1, 2], [1, 2]])
    assert search(same[:1], np.array([0]), same, [0, 1]).rank.tolist() == [2]


def test_an_empty_gallery_and_unequal_lengths_are_refused():
    for gallery, labels in ((np.zeros((0, 2)), []), (unit([[1, 0]]), [1, 2])):
        with pytest.raises(ValueError, match="gallery must not be empty and each row must have"):
            search(unit([[1, 0]]), np.array([0]), gallery, labels)
    with pytest.raises(ValueError, match="at least one probe"):
        rank_rates(np.zeros(0, int), (1,))


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_ranks_agree_with_scikit_learn(seed):
    probes, who, gallery, labels = draw(seed)
    probes, who = probes[who >= 0], who[who >= 0]
    scores = (probes.astype(float) @ gallery.T.astype(float)).reshape(len(who), 6, 2).max(axis=2)
    ranks = search(probes, who, gallery, labels).rank
    curve = cmc(ranks, 6)
    assert np.all(np.diff(curve) >= 0)
    assert curve[-1] == 1
    for k in (1, 3, 5):
        expected = metrics.top_k_accuracy_score(who, scores, k=k, labels=range(6))
        assert rank_rates(ranks, (k,))[0].rate == pytest.approx(expected) == curve[k - 1]


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=20)
def test_order_names_and_size_of_blocks_do_not_matter(seed, products):
    probes, who, gallery, labels = draw(seed)
    plain = search(probes, who, gallery, labels)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(gallery)), rng.permutation(50)[:6]
    renamed = np.where(who < 0, NOBODY, names[who])
    whole, identification._PRODUCTS = identification._PRODUCTS, products
    try:
        other = search(probes, renamed, gallery[order], names[labels[order]])
    finally:
        identification._PRODUCTS = whole
    assert plain.rank.tolist() == other.rank.tolist()
    np.testing.assert_allclose(plain.mate, other.mate, atol=1e-12)
    np.testing.assert_allclose(plain.other, other.other, atol=1e-12)
    assert plain.other_row.tolist() == [NOBODY if at < 0 else order[at] for at in other.other_row]


def test_distractors_are_counted_by_their_class():
    probes, mates = unit([[1, 0], [0, 1]]), np.array([0.9, -1.0])
    distractors = unit([[1, 0], [1, 0.1], [0, 1]])
    ahead = count_ahead(probes, mates, distractors, np.array([0, 1, 1]), 2)
    assert ahead.tolist() == [[1, 1], [1, 2]]

"""Figures of all pairs beside those of the scores one by one."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given as given_of
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from facemill.model.metrics import verification
from facemill.pipelines.evaluate import all_pairs
from facemill.pipelines.evaluate.all_pairs import Counted, People, Zoom, count_twice, zoom_of
from facemill.transforms.search.pair_counts import (
    BINS,
    Grid,
    NamedRows,
    PairCounts,
    PairPlan,
    count_pairs,
    exact,
)


@dataclass
class Drawn:
    people: People
    counts: PairCounts
    genuine: np.ndarray
    impostor: np.ndarray


def drawn(images: int, identities: int, seed: int = 1) -> Drawn:
    draw = np.random.default_rng(seed)
    labels = draw.integers(identities, size=images)
    centers = draw.normal(size=(identities, 16))
    vectors = centers[labels] + draw.normal(size=(images, 16))
    vectors = exact(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    counts = count_pairs(NamedRows(vectors, pa.array([f"p{label}" for label in labels])))
    left, right = np.triu_indices(images, 1)
    scores = np.einsum("nd,nd->n", vectors[left], vectors[right])
    same = labels[left] == labels[right]
    names = tuple(f"p{number}" for number in range(identities))
    return Drawn(People(images, names, 0, (images,)), counts, scores[same], scores[~same])


def test_the_extremes_are_those_of_the_scores():
    given = drawn(60, 7)
    scores = np.concatenate([given.genuine, given.impostor])
    assert all_pairs.extremes(given.counts) == pytest.approx((scores.min(), scores.max()), abs=1e-5)


def test_the_figures_are_those_of_the_scores():
    given = drawn(200, 12)
    genuine, impostor = given.genuine, given.impostor
    found = all_pairs.figures(given.people, Counted(given.counts))
    expected = verification.tar_at_far(genuine, impostor, [1e-1, 1e-2, 1e-3, 1e-4])
    # 18,000 impostor pairs support 1e-4 and no less.
    assert [row["far"] for row in found["tar_at_far"]] == pytest.approx([1e-1, 1e-2, 1e-3, 1e-4])
    for row, wanted in zip(found["tar_at_far"], expected, strict=True):
        assert row["tar"] == pytest.approx(wanted.tar, abs=2 / len(genuine))
        assert row["threshold"] == pytest.approx(wanted.threshold, abs=1e-4)
    rate, threshold = verification.equal_error_rate(verification.roc(genuine, impostor))
    assert found["equal_error_rate"]["rate"] == pytest.approx(rate, abs=1e-4)
    assert found["equal_error_rate"]["threshold"] == pytest.approx(threshold, abs=1e-3)
    assert found["pairs"] == {"genuine": len(genuine), "impostor": len(impostor), "missing": 0}


def test_a_histogram_has_the_proportions_of_all_scores():
    given = drawn(300, 12)
    genuine, impostor = given.genuine, given.impostor
    found = all_pairs.samples(given.counts)
    for sample, scores in zip(found, (genuine, impostor), strict=True):
        assert len(sample) <= 10_000 + 256
        shares = [np.histogram(one, 16, (-1, 1))[0] / len(one) for one in (sample, scores)]
        np.testing.assert_allclose(*shares, atol=0.02)


def close_together(images: int, seed: int, spread: float, copies: int) -> tuple[Counted, Drawn]:
    """Vectors whose scores differ by `spread` or so, some of them equal to others."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(8, size=images)
    vectors = np.ones(16) + spread**0.5 * (
        draw.normal(size=(8, 16))[labels] + draw.normal(size=(images, 16))
    )
    vectors[:copies] = vectors[-copies - 1]
    vectors = exact(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    rows = NamedRows(vectors, pa.array([f"p{label}" for label in labels]))
    counted = count_twice(PairPlan(None, ()), lambda plan: count_pairs(rows, grid=plan.grid))
    left, right = np.triu_indices(images, 1)
    scores = np.einsum("nd,nd->n", vectors[left], vectors[right])
    same = labels[left] == labels[right]
    people = People(images, tuple(f"p{number}" for number in range(8)), 0, (images,))
    return counted, Drawn(people, counted.whole, scores[same], scores[~same])


@given_of(st.integers(0, 1000), st.sampled_from([1.0, 1e-3, 1e-5, 1e-7]), st.integers(0, 20))
@settings(max_examples=8, deadline=None)
def test_true_accept_rates_are_those_of_scikit_learn_within_what_is_stated(seed, spread, copies):
    counted, drawn = close_together(150, seed, spread, copies)
    found = all_pairs.figures(drawn.people, counted)
    labels = np.repeat([1, 0], [len(drawn.genuine), len(drawn.impostor)])
    scores = np.concatenate([drawn.genuine, drawn.impostor])
    fmr, tar, _ = roc_curve(labels, scores, drop_intermediate=False)
    for row in found["tar_at_far"]:
        at = np.searchsorted(fmr, row["far"] + 1e-12, side="right") - 1
        assert row["tar"] - 1e-12 <= tar[at] <= row["tar_at_most"] + 1e-12
        # Scores of copies are equal, so no grid can tell them apart.
        threshold = 1.0 if row["threshold"] is None else row["threshold"]
        equal = np.count_nonzero(np.abs(drawn.genuine - threshold) < 1e-7) if copies else 0
        assert tar[at] - row["tar"] <= (1 + equal) / len(drawn.genuine)


def test_scores_that_lie_close_together_are_counted_in_finer_steps():
    counted, drawn = close_together(150, 1, 1e-5, 0)
    assert counted.zoom == zoom_of(drawn.counts)
    assert all_pairs.figures(drawn.people, counted)["threshold_step"] < 1e-9
    edges, genuine, impostor = counted.steps()
    assert (np.diff(edges) > 0).all()
    assert (genuine.sum(), impostor.sum()) == (len(drawn.genuine), len(drawn.impostor))


@pytest.mark.parametrize(("first", "last"), [(7, 7), (1, BINS - 2), (1 << 19, 3 << 18)])
def test_fine_steps_divide_the_steps_that_are_counted_again(first, last):
    zoom, whole = Zoom(first, last), Grid()
    grid, inside = zoom.grid, zoom.inside
    assert inside.stop <= BINS
    assert grid.lowest + inside.start * grid.step == whole.lowest + first * whole.step
    assert grid.lowest + inside.stop * grid.step == whole.lowest + (last + 1) * whole.step

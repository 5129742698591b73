"""Figures of all pairs beside those of the scores one by one."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from facemill.model.metrics import verification
from facemill.pipelines.evaluate import all_pairs
from facemill.pipelines.evaluate.all_pairs import People
from facemill.transforms.search.pair_counts import NamedRows, PairCounts, count_pairs, exact


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
    found = all_pairs.figures(given.people, given.counts)
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

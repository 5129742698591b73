import numpy as np
import pytest

from facemill.model.metrics import verification
from facemill.pipelines.evaluate import all_pairs
from facemill.pipelines.evaluate.all_pairs import Named


def named(images: int, identities: int, seed: int = 1) -> Named:
    draw = np.random.default_rng(seed)
    labels = draw.integers(identities, size=images)
    centers = draw.normal(size=(identities, 16))
    vectors = centers[labels] + draw.normal(size=(images, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = tuple(f"p{number}" for number in range(identities))
    return Named(vectors.astype(np.float32), labels, names, 0)


def scores_of(given: Named) -> tuple[np.ndarray, np.ndarray]:
    """Genuine and impostor scores of each pair, one after the other."""
    left, right = np.triu_indices(len(given.vectors), 1)
    scores = np.einsum("nd,nd->n", given.vectors[left], given.vectors[right])
    same = given.labels[left] == given.labels[right]
    return scores[same], scores[~same]


@pytest.mark.parametrize("block", [3, 7, 1024])
def test_every_pair_is_counted_once(monkeypatch, block):
    monkeypatch.setattr(all_pairs, "_BLOCK", block)
    given = named(60, 7)
    genuine, impostor = scores_of(given)
    counts = all_pairs.count(given)
    assert (counts.genuine.sum(), counts.impostor.sum()) == (len(genuine), len(impostor))
    assert all_pairs.extremes(counts) == pytest.approx(
        (min(genuine.min(), impostor.min()), max(genuine.max(), impostor.max())), abs=1e-5
    )


def test_the_figures_are_those_of_the_scores():
    given = named(200, 12)
    genuine, impostor = scores_of(given)
    found = all_pairs.figures(given, all_pairs.count(given))
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
    given = named(300, 12)
    genuine, impostor = scores_of(given)
    found = all_pairs.samples(all_pairs.count(given))
    for sample, scores in zip(found, (genuine, impostor), strict=True):
        assert len(sample) <= 10_000 + 256
        shares = [np.histogram(one, 16, (-1, 1))[0] / len(one) for one in (sample, scores)]
        np.testing.assert_allclose(*shares, atol=0.02)

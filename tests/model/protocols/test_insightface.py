import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from facemill.model.protocols import insightface
from facemill.transforms.core.errors import UsageError


def listed(labels):
    return insightface.pair_list([f"x/{n}" for n in range(2 * len(labels))], labels, "x.bin")


def published(scores, genuine):
    """insightface's calculation, written from its description with scikit-learn's folds."""
    distances = 2 - 2 * scores
    found = []
    for train, test in KFold(10, shuffle=False).split(distances):
        best, best_right = 0.0, -1.0
        for threshold in np.arange(0, 4, 0.01):
            right = np.mean((distances[train] < threshold) == genuine[train])
            if right > best_right:
                best, best_right = threshold, right
        found.append(np.mean((distances[test] < best) == genuine[test]))
    return np.mean(found), np.std(found)


@pytest.mark.moderate
@given(st.integers(20, 67), st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_folds_and_accuracy_are_insightface_s(count, seed):
    draw = np.random.default_rng(seed)
    genuine = np.arange(count) % 2 == 0
    scores = np.clip(draw.normal(np.where(genuine, 0.5, 0.1), 0.3), -1, 1)
    pairs = listed(genuine.tolist())
    assert [(pair.left, pair.right) for pair in pairs.pairs][:2] == [("x/0", "x/1"), ("x/2", "x/3")]
    assert insightface.accuracy(scores, pairs.genuine, pairs.fold) == pytest.approx(
        published(scores, genuine)
    )


def test_a_pair_that_is_not_compared_is_rejected():
    pairs = listed([True, False] * 10)
    scores = np.where(pairs.genuine, 0.9, -np.inf)
    assert insightface.accuracy(scores, pairs.genuine, pairs.fold)[0] == 1


def test_too_few_pairs_or_one_class_are_refused():
    with pytest.raises(UsageError, match=r"x\.bin must have ten pairs or more.*got 2"):
        listed([True, False])
    with pytest.raises(UsageError, match="those without fold 10 are all of one kind"):
        listed([True] * 11 + [False])

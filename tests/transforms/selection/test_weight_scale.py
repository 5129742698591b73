import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.selection.decisions import DecisionRows
from facemill.transforms.selection.rules import Rule
from facemill.transforms.selection.selection import Selection
from facemill.transforms.selection.weight_scale import normalizing_sums
from tests.transforms.selection.selecting import SHARES, decide, images, people, quick


@given(people, st.sampled_from([0.0, 0.5, 0.999]), st.integers(1, 9))
@quick
def test_normalized_weights_have_mean_1_over_the_records_of_train(given, beta, least):
    rules = Selection(SHARES, rules=(Rule("oversample", least), Rule("effective-number", beta)))
    rows = decide(images([*given, (None, 2)]), rules)
    weight, count = normalizing_sums(DecisionRows.of(rows))
    train = rows[rows["split"] == SPLITS.index("train")]
    assert count == train["copies"].sum()
    if count:
        scaled = np.repeat(train["weight"], train["copies"]) * (count / weight)
        assert scaled.mean() == pytest.approx(1.0, rel=1e-12)
    order = np.random.default_rng(1).permutation(len(rows))
    # To the last bit: a manifest's bytes depend on it.
    assert normalizing_sums(DecisionRows.of(rows[order])) == (weight, count)

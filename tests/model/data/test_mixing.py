import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.data.mixing import proportional_order


@pytest.mark.moderate
@given(st.lists(st.integers(0, 200), min_size=1, max_size=5), st.integers(1, 300))
def test_each_part_of_an_epoch_has_the_shares_of_the_whole(counts, at_a_time):
    order = np.concatenate(list(proportional_order(counts, at_a_time)))
    assert np.bincount(order, minlength=len(counts)).tolist() == counts
    shares = np.array(counts) / max(1, sum(counts))
    so_far = np.zeros(len(counts))
    for number, done in zip(order.tolist(), itertools.count(1)):
        so_far[number] += 1
        assert np.abs(so_far - shares * done).max() <= (len(counts) - 1) / 2 + 1e-9


@pytest.mark.moderate
@given(st.lists(st.integers(0, 200), min_size=1, max_size=5), st.integers(1, 300))
def test_how_much_is_made_at_a_time_changes_nothing(counts, at_a_time):
    pieces = np.concatenate(list(proportional_order(counts, at_a_time)))
    np.testing.assert_array_equal(pieces, np.concatenate(list(proportional_order(counts))))

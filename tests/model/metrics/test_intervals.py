import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.metrics.intervals import by_cluster, of_difference, sums_by_cluster, wilson

CLUSTERS = st.lists(
    st.integers(1, 9).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))),
    min_size=2,
    max_size=20,
)


def test_wilson_by_hand():
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.4901625, abs=1e-6)
    assert high == pytest.approx(0.9433178, abs=1e-6)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1
    for wrong in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="successes must be in"):
            wilson(*wrong)


@pytest.mark.moderate
@given(CLUSTERS, st.randoms(use_true_random=False))
def test_neither_order_nor_names_of_clusters_matter_and_the_interval_is_of_shares(rows, draw):
    interval = by_cluster(*np.array(rows).T)
    low, high = interval
    shares = [part / whole for part, whole in rows]
    assert min(shares) - 1e-12 <= low <= high <= max(shares) + 1e-12
    draw.shuffle(rows)
    assert by_cluster(*np.array(rows).T) == interval


def test_a_share_of_dependent_trials_is_less_certain():
    # 20 identities, 30 photos of each all right or all wrong: as many trials say as much as 20.
    right = np.arange(20) % 4 > 0
    low, high = by_cluster(right * 30, np.full(20, 30))
    alone = wilson(int(right.sum() * 30), 600)
    assert low < alone[0] < 0.75 < alone[1] < high
    assert (low, high) == pytest.approx(wilson(15, 20), abs=0.1)


def test_one_cluster_has_no_interval_and_empty_clusters_do_not_count():
    assert by_cluster([1], [2]) is None
    assert by_cluster([1, 0], [2, 0]) is None
    assert of_difference(([1], [2]), ([1, 1], [2, 2])) is None


def test_the_difference_of_groups_covers_the_difference_of_their_shares():
    draw = np.random.default_rng(1)
    one, other = draw.binomial(10, 0.9, 200), draw.binomial(10, 0.6, 200)
    low, high = of_difference((one, np.full(200, 10)), (other, np.full(200, 10)))
    assert low < (one.sum() - other.sum()) / 2000 < high
    assert high - low < 0.1
    assert low > 0.2


def test_trials_are_summed_by_cluster():
    parts, wholes = sums_by_cluster(["a", "b", "a"], np.array([True, False, True]))
    assert (parts.tolist(), wholes.tolist()) == ([2, 0], [2, 1])

"""Agreement of groups with identities, against hand-worked cases and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.metrics import clustering

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30)


def test_a_hand_worked_case():
    truth, found = list("AAABB"), [1, 1, 2, 2, 2]
    pairs = clustering.pairwise(truth, found)
    # Together: AA of 1, BB of 2; in groups 1 + 3 pairs, of identities 3 + 1.
    assert (pairs.precision, pairs.recall, pairs.f1) == (0.5, 0.5, 0.5)
    images = clustering.bcubed(truth, found)
    assert images.precision == pytest.approx((1 + 1 + 1 / 3 + 2 / 3 + 2 / 3) / 5)
    assert images.recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)


@pytest.mark.moderate
@given(LABELS)
def test_pairs_are_those_of_scikit_learn(labels):
    from sklearn.metrics.cluster import pair_confusion_matrix

    truth, found = zip(*labels, strict=True)
    (_, only_found), (only_truth, both) = pair_confusion_matrix(truth, found)
    agreement = clustering.pairwise(truth, found)
    if both + only_found:
        assert agreement.precision == pytest.approx(both / (both + only_found))
    if both + only_truth:
        assert agreement.recall == pytest.approx(both / (both + only_truth))


@given(LABELS)
def test_bcubed_is_the_mean_over_images(labels):
    truth, found = (np.array(one) for one in zip(*labels, strict=True))
    same, together = truth[:, None] == truth, found[:, None] == found
    agreement = clustering.bcubed(truth.tolist(), found.tolist())
    both = (same & together).sum(axis=1)
    assert agreement.precision == pytest.approx((both / together.sum(axis=1)).mean())
    assert agreement.recall == pytest.approx((both / same.sum(axis=1)).mean())


@pytest.mark.moderate
@given(LABELS, st.randoms(use_true_random=False))
def test_order_and_names_of_groups_do_not_matter(labels, chance):
    other = [(truth, f"group {-found}") for truth, found in labels]
    chance.shuffle(other)
    for measure in (clustering.pairwise, clustering.bcubed):
        one, two = (measure(*zip(*some, strict=True)) for some in (labels, other))
        assert one.as_json() == pytest.approx(two.as_json())


def test_the_truth_agrees_with_itself_and_nothing_with_nothing():
    for measure in (clustering.pairwise, clustering.bcubed):
        assert measure(list("AAB"), list("xxy")).f1 == 1
        assert measure([], []).f1 == 1
        assert measure(list("ABC"), list("xyz")).f1 == 1


def test_the_parts_of_identities_add_up_to_bcubed():
    truth, found = list("aaabbbccd"), [1, 1, 2, 2, 2, 2, 3, 4, 4]
    precision, recall, sizes = clustering.bcubed_by_identity(truth, found)
    whole = clustering.bcubed(truth, found)
    assert sizes.tolist() == [3, 3, 2, 1]
    assert precision.sum() / 9 == pytest.approx(whole.precision)
    assert recall.sum() / 9 == pytest.approx(whole.recall)

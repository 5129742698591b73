"""Templates: weighted means of length 1, without what agrees with nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.search.templates import quality_weights, template
from tests.embedding_sets import draw


def person(seed: int = 1, images: int = 6, noise: float = 0.2) -> np.ndarray:
    return draw(seed, 1, images, 16, noise)


def test_equal_weights_give_the_mean_direction():
    rows = person()
    mean = rows.astype(np.float64).sum(axis=0)
    found = template(rows, np.ones(6))
    assert found.vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert found.used.all()
    assert found.best == 0


def test_a_heavier_image_draws_the_template_to_it():
    rows = person()
    weights = np.array([1, 1, 1, 1, 1, 50.0])
    found = template(rows, weights)
    assert found.best == 5
    assert found.vector @ rows[5] > template(rows, np.ones(6)).vector @ rows[5]


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_an_image_of_somebody_else_is_an_outlier(threshold):
    rows = person()
    rows[2] = -rows[2]
    found = template(rows, np.ones(6), threshold)
    assert np.flatnonzero(~found.used).tolist() == [2]
    assert found.vector == pytest.approx(
        template(np.delete(rows, 2, axis=0), np.ones(5)).vector, abs=1e-6
    )


def test_where_half_disagree_nobody_is_left_out():
    rows = np.concatenate([person(1, 2), -person(1, 2)])
    assert template(rows, np.ones(4), 0.5).used.all()
    assert template(rows[1:3], np.ones(2), 0.5).used.all()


def test_one_image_is_its_own_template():
    rows = person(images=1)
    found = template(rows, np.array([0.3]))
    assert found.vector.tolist() == pytest.approx(rows[0].tolist())
    assert found.agreement.tolist() == [1.0]


@given(st.integers(0, 1000), st.integers(1, 12))
def test_a_template_has_length_one(seed, images):
    rows = person(seed, images, 0.8)
    weights = np.random.default_rng(seed).uniform(0.1, 1, images)
    assert np.linalg.norm(template(rows, weights).vector) == pytest.approx(1, abs=1e-5)


def test_quality_counts_up_to_the_usual_and_unknown_counts_full():
    weights = quality_weights([100.0, 50.0, 200.0, None, 0.0], [1.0, 1.0, 0.5, None, 1.0])
    # The median of the known is 75.
    assert weights.tolist() == pytest.approx([1.0, 2 / 3, 0.5, 1.0, 0.1])
    assert quality_weights([None, None], [None, None]).tolist() == [1.0, 1.0]

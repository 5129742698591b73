import math

from facemill.model.recipes.recipe import Recipe
from facemill.model.training import find_rate
from facemill.pipelines.train import rate_test


def test_the_page_has_the_curve_the_proposal_and_the_recipe():
    rates = [10.0 ** (step / 10 - 6) for step in range(60)]
    curve = find_rate.propose(rates, [5 + math.cos(step / 10) for step in range(60)])
    page = rate_test.render(curve, curve.reason, Recipe())
    assert "Loss by rate" in page
    assert f"{curve.proposal:g}" in page
    assert curve.reason in page
    assert "mobilefacenet" in page


def test_a_page_without_a_proposal_says_so():
    curve = find_rate.propose([1e-6, 1e-5], [5.0, 5.0])
    assert "none" in rate_test.render(curve, curve.reason, Recipe())

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.pipelines.synthesize.faces.plan import make_plan
from facemill.pipelines.synthesize.faces.recipe import COPY_KINDS, KINDS, Recipe
from facemill.transforms.core.errors import UsageError


def test_without_a_tail_every_identity_has_the_same_number():
    assert make_plan(Recipe(4, 3)).counts.tolist() == [3, 3, 3, 3]


def test_a_long_tail_reaches_from_one_to_the_most():
    counts = make_plan(Recipe(2000, 40, long_tail=2.0)).counts
    assert counts.min() == 1
    assert counts.max() == 40
    # ceil(40 u^2) is 1 for u <= sqrt(1 / 40) and at most 10 for u <= 1/2.
    assert np.mean(counts == 1) == pytest.approx(0.158, abs=0.03)
    assert np.mean(counts <= 10) == pytest.approx(0.5, abs=0.04)


def test_a_greater_exponent_gives_a_longer_tail():
    mild, steep = (make_plan(Recipe(300, 40, long_tail=e)).counts for e in (1.0, 4.0))
    assert np.mean(steep == 1) > 3 * np.mean(mild == 1)


def test_the_number_of_images_depends_on_the_identity_alone():
    complete = make_plan(Recipe(20, 30, long_tail=2.0)).counts
    rest = make_plan(Recipe(10, 30, long_tail=2.0, start_identity=11)).counts
    assert complete[10:].tolist() == rest.tolist()


plants = st.dictionaries(st.sampled_from(KINDS), st.integers(1, 3), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    identities=st.integers(2, 12),
    images=st.integers(1, 6),
    first=st.integers(1, 500),
    seed=st.integers(0, 2**64 - 1),
    plants=plants,
)
def test_plants_follow_the_recipe(identities, images, first, seed, plants):
    recipe = Recipe(
        identities, images, long_tail=1.0, seed=seed, start_identity=first, plants=plants
    )
    try:
        plan = make_plan(recipe)
    except UsageError:
        copies = sum(count for kind, count in plants.items() if kind in COPY_KINDS)
        assert copies > identities  # each identity has an original image at least
        return
    counts = dict(enumerate(plan.counts.tolist(), first))
    assert {kind: sum(p.kind == kind for p in plan.plants) for kind in plants} == plants
    sources = [plant.source for plant in plan.plants if plant.source]
    assert len(sources) == len(set(sources))
    drawn = [(p.identity, p.image) for p in plan.plants if not p.source]
    assert len(drawn) == len(set(drawn))
    for plant in plan.plants:
        assert plant.folder in counts
        assert (plant.folder != plant.identity) == (plant.kind in ("conflict", "mislabel"))
        if plant.kind in COPY_KINDS:
            assert 1 <= plant.image <= counts[plant.identity]
    for folder, count in counts.items():
        numbers = sorted(plant.number for plant in plan.plants if plant.folder == folder)
        assert numbers == list(range(count + 1, count + 1 + len(numbers)))


def test_plants_without_a_source_go_round_the_identities():
    plan = make_plan(Recipe(10, 1, plants={"cmyk": 6, "zero-bytes": 4}))
    assert sorted(plant.folder for plant in plan.plants) == list(range(1, 11))


def test_every_image_can_be_a_source_once_and_not_twice():
    assert len(make_plan(Recipe(3, 4, plants={"copy": 5, "crop": 7})).plants) == 12
    with pytest.raises(UsageError, match=r"more copies than .* original images \(12\), got 13"):
        make_plan(Recipe(3, 4, plants={"copy": 6, "crop": 7}))


@pytest.mark.parametrize("kind", ["conflict", "mislabel"])
def test_another_identity_is_needed_for_a_wrong_folder(kind):
    with pytest.raises(UsageError, match="second identity, got --identities 1"):
        make_plan(Recipe(1, 4, plants={kind: 1}))


@pytest.mark.parametrize("seed", range(8))
def test_pairs_avoid_images_that_are_in_a_conflict(seed):
    plan = make_plan(Recipe(2, 8, seed=seed, plants={"conflict": 4}, pairs=(1, 10)))
    lost = {(f"id{p.identity:05d}", str(p.image)) for p in plan.plants}
    assert plan.pairs is not None
    for line in plan.pairs.splitlines()[1:]:
        name, first, *rest = line.split("\t")
        second = tuple(rest) if len(rest) == 2 else (name, rest[0])
        assert not lost & {(name, first), second}

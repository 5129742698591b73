"""Counts of all pairs: each pair once, and the same numbers for any division."""

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms import storage
from facemill.transforms.scoring.embeddings import read_set
from facemill.transforms.search.pair_counts import BINS, PairCounts, PairPlan, count_tasks, exact
from facemill.transforms.search.pair_counts_transform import CountPairs, SumCounts
from tests import embedding_sets
from tests.embedding_sets import draw, named

IDS, WHO = named(6, 8)
VECTORS = draw(1, 6, 8)
# One image of each person has no identity.
NAMES = [None if image.endswith("/3.jpg") else name for image, name in zip(IDS, WHO, strict=True)]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    path = embedding_sets.write(tmp_path_factory.mktemp("p") / "e", IDS, 3 * VECTORS, NAMES)
    return read_set(path, "embeddings")[0]


def plan(faces, block: int = 2048, strip: int = 16) -> PairPlan:
    return PairPlan(faces, tuple(faces.part_rows()), block, strip)


def total(one: PairPlan, threads: int = 1) -> PairCounts:
    found = PairCounts.zero()
    for counts in count_tasks(one, one.tasks(), threads):
        found.add(counts)
    return found


def test_the_counts_are_those_of_each_pair(faces):
    found = total(plan(faces))
    kept = [row for row, name in enumerate(NAMES) if name]
    for same, counts in ((True, found.genuine), (False, found.impostor)):
        scores = sorted(
            float(VECTORS[one] @ VECTORS[other])
            for one in kept
            for other in kept
            if one < other and (NAMES[one] == NAMES[other]) == same
        )
        middles = np.repeat((np.arange(BINS) + 0.5) * 2 / BINS - 1, counts)
        assert len(middles) == len(scores)
        np.testing.assert_allclose(middles, scores, atol=2 / BINS)


@pytest.mark.parametrize(("block", "strip", "threads"), [(12, 2, 3), (40, 1, 1)])
def test_any_division_counts_the_same(faces, block, strip, threads):
    wanted = total(plan(faces))
    found = total(plan(faces, block, strip), threads)
    np.testing.assert_array_equal(found.genuine, wanted.genuine)
    np.testing.assert_array_equal(found.impostor, wanted.impostor)


def test_products_of_exact_vectors_do_not_depend_on_the_order_of_their_sums():
    vectors = exact(draw(2, 10, 10, size=512))
    back = np.argsort(np.random.default_rng(5).random(512))
    np.testing.assert_array_equal(vectors @ vectors.T, vectors[:, back] @ vectors[:, back].T)
    np.testing.assert_array_equal((vectors @ vectors.T)[:7, :1], vectors[:7] @ vectors[:1].T)


@given(st.permutations(range(4)), st.integers(0, 4))
@settings(max_examples=3, deadline=None)
def test_the_combiner_gives_the_same_for_any_order_and_division(order, cut):
    combiner = SumCounts()
    parts = []
    for number in range(4):
        one = PairCounts.zero()
        one.genuine[[number, 7]] = 1 << 40, 2
        one.impostor[number] = number
        parts.append(one.to_bytes())

    def sum_of(numbers):
        found = combiner.create_accumulator()
        for number in numbers:
            found = combiner.add_input(found, parts[number])
        return found

    merged = combiner.merge_accumulators([sum_of(order[:cut]), sum_of(order[cut:])])
    assert combiner.extract_output(merged) == combiner.extract_output(sum_of(range(4)))


@pytest.mark.moderate
def test_a_runner_counts_what_one_process_counts(faces, tmp_path):
    one = plan(faces, 20, 2)
    path, marks = str(tmp_path / "sum"), str(tmp_path / "marks")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | CountPairs(one, 2, path, marks)
    assert storage.read_bytes(path) == total(plan(faces)).to_bytes()
    assert len(storage.names(marks)) == len(one.tasks())

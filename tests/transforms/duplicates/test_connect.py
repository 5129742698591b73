import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.rows import RowIds
from facemill.transforms.duplicates import components, connect
from facemill.transforms.duplicates.connect import ConnectedComponents, EdgeRows

# As many images as make four groups.
TOTAL = 1_000_000
_EDGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=60)


def _array(edges: list[tuple[int, int]]) -> np.ndarray:
    return np.array(edges, np.uint64).reshape(-1, 2)


def _components_of(edges: np.ndarray) -> list[list[int]]:
    nodes, roots = components.components(edges[edges[:, 0] != edges[:, 1]])
    return sorted(nodes[roots == root].tolist() for root in np.unique(roots))


def _grouped(
    data: EdgeRows, by: Callable[..., Iterable[tuple[int, EdgeRows]]]
) -> dict[int, list[EdgeRows]]:
    groups = defaultdict(list)
    for key, part in by(data, TOTAL):
        groups[key].append(part)
    return groups


def _last_step(edges: np.ndarray) -> tuple[list[list[int]], np.ndarray]:
    """Components that are finished, and the edges of the others, as workers would compute them."""
    data = EdgeRows.of(edges)
    tied = defaultdict(list)
    for group in _grouped(data, connect._by_end).items():
        for key, part in connect._tied(group, TOTAL):
            tied[key].append(part)
    finished, rest = [], [np.empty((0, 2), np.uint64)]
    for key, parts in _grouped(data, connect._by_center).items():
        for found in connect._Finished().process((key, {"edges": parts, "tied": tied[key]})):
            if isinstance(found, RowIds):
                finished.append(found.array.tolist())
            else:
                rest.append(found.value.array)
    return sorted(finished), np.concatenate(rest)


def _after_rounds(edges: np.ndarray, rounds: int) -> np.ndarray:
    for _ in range(rounds):
        edges = components.large_star(components.both_ways(edges))
        edges = components.small_star(components.downward(edges))
    return edges


@pytest.mark.moderate
@settings(deadline=None, max_examples=100)
@given(_EDGES, st.integers(1, 2))
def test_only_components_that_are_not_yet_stars_are_left_for_one_worker(edges, rounds):
    left = _after_rounds(_array(edges), rounds)
    finished, rest = _last_step(left)
    stars = [
        members
        for members in _components_of(left)
        if len(left[np.isin(left[:, 0], members)]) == len(members) - 1
        and len(np.unique(left[np.isin(left[:, 0], members), 1])) == 1
    ]
    assert finished == sorted(stars)
    assert sorted(finished + _components_of(rest)) == _components_of(_array(edges))


def test_a_long_chain_leaves_other_components_finished():
    chain = np.random.default_rng(1).permutation(3000)
    pairs = np.arange(10_000, 14_000).reshape(-1, 2)
    edges = np.concatenate([np.stack([chain[:-1], chain[1:]], axis=1), pairs]).astype(np.uint64)
    finished, rest = _last_step(_after_rounds(edges, connect._ROUNDS))
    assert finished == pairs.tolist()
    # The chain is shorter by now, and still no star.
    assert 0 < len(rest) <= 3000
    assert np.unique(rest).tolist() == list(range(3000))


@pytest.mark.slow
@pytest.mark.parametrize("total", [1, TOTAL])
def test_the_transform_finds_the_components(total: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    nodes = rng.permutation(400).astype(np.uint64) << np.uint64(55)
    # A chain, a clique, stars, pairs, and one edge twice.
    edges = [*itertools.pairwise(nodes[:100])]
    edges += [(a, b) for a in nodes[100:106] for b in nodes[100:106] if a != b]
    edges += [
        (nodes[110 + 10 * star], node) for star in range(9) for node in nodes[111 + 10 * star :][:4]
    ]
    edges += [*zip(nodes[300:350], nodes[350:400], strict=True), (nodes[300], nodes[350])]
    given = [EdgeRows.of(part) for part in np.array_split(_array(edges), 30)]
    result = tmp_path / "found"

    def write(found: list[RowIds]) -> None:
        lines = (" ".join(map(str, one.array.tolist())) for one in found)
        result.write_text("\n".join(lines))

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        numbers = pipeline | "Total" >> beam.Create([total])
        _ = (
            pipeline
            | "Edges" >> beam.Create(given)
            | ConnectedComponents(numbers)
            | beam.combiners.ToList()
            | beam.Map(write)
        )
    lines = result.read_text().splitlines()
    found = sorted([int(node) for node in line.split()] for line in lines)
    assert found == _components_of(_array(edges))

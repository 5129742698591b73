import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.duplicates import components

_EDGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60)


def _array(edges: list[tuple[int, int]]) -> np.ndarray:
    return np.array(edges, np.uint64).reshape(-1, 2)


def _naive(edges: list[tuple[int, int]]) -> dict[int, int]:
    """Smallest node of the component of each node, by repeated relabeling."""
    label = {node: node for edge in edges for node in edge}
    changed = True
    while changed:
        changed = False
        for a, b in edges:
            low = min(label[a], label[b])
            if label[a] != low or label[b] != low:
                label[a] = label[b] = low
                changed = True
    return label


def _labels(edges: np.ndarray) -> dict[int, int]:
    nodes, roots = components.components(edges)
    return dict(zip(nodes.tolist(), roots.tolist(), strict=True))


def _round(edges: np.ndarray, parts: int) -> np.ndarray:
    """One large-star and one small-star, each over partitions by node, as workers would do it."""
    for expand, star in (
        (components.both_ways, components.large_star),
        (components.downward, components.small_star),
    ):
        keyed = expand(edges)
        part = keyed[:, 0] % np.uint64(parts)
        edges = np.concatenate([star(keyed[part == number]) for number in range(parts)])
    return edges


def _is_star_forest(edges: np.ndarray) -> bool:
    """Whether each edge leads from a node with no other edge to the smallest of its component."""
    leaves = np.unique(edges[:, 0])
    downward = bool((edges[:, 0] > edges[:, 1]).all())
    return downward and len(leaves) == len(edges) and not np.isin(edges[:, 1], leaves).any()


def _stars(edges: np.ndarray, parts: int) -> tuple[np.ndarray, int]:
    for number in range(100):
        if _is_star_forest(edges):
            return edges, number
        edges = np.unique(_round(edges, parts), axis=0)
    raise AssertionError("no star forest after 100 rounds")


@settings(deadline=None, max_examples=150)
@given(_EDGES)
def test_components_equal_those_of_repeated_relabeling(edges: list[tuple[int, int]]) -> None:
    assert _labels(_array(edges)) == _naive(edges)


@settings(deadline=None, max_examples=100)
@given(_EDGES, st.integers(1, 5))
def test_rounds_of_stars_end_in_the_components_of_repeated_relabeling(
    edges: list[tuple[int, int]], parts: int
) -> None:
    stars, _ = _stars(_array(edges), parts)
    expected = {node: low for node, low in _naive(edges).items() if node != low}
    assert dict(stars.tolist()) == expected
    assert len(stars) == len(expected)


@settings(deadline=None, max_examples=50)
@given(_EDGES, st.integers(1, 5), st.integers(0, 3))
def test_unfinished_rounds_keep_the_components(
    edges: list[tuple[int, int]], parts: int, rounds: int
) -> None:
    array = _array(edges)
    for _ in range(rounds):
        array = _round(array, parts)
    found, expected = _labels(array), _naive(edges)
    alone = {a for a, b in edges if a == b}
    assert {**{node: node for node in alone}, **found}.keys() <= expected.keys()
    assert all(expected[node] == low for node, low in found.items())
    assert {node for node, low in expected.items() if node != low} <= found.keys()


@pytest.mark.parametrize("seed", range(3))
def test_a_shuffled_chain_becomes_one_star_in_few_rounds(seed: int) -> None:
    nodes = np.random.default_rng(seed).permutation(1000).astype(np.uint64)
    chain = np.stack([nodes[:-1], nodes[1:]], axis=1)
    assert set(_labels(chain).values()) == {0}
    stars, rounds = _stars(chain, 4)
    assert np.array_equal(stars, np.stack([np.arange(1, 1000), np.zeros(999)], 1).astype(np.uint64))
    assert rounds <= 12


def test_a_sorted_chain_becomes_one_star() -> None:
    nodes = np.arange(1000, dtype=np.uint64)
    chain = np.stack([nodes[:-1], nodes[1:]], axis=1)
    assert set(_labels(chain).values()) == {0}
    assert len(_stars(chain, 3)[0]) == 999


def test_the_order_and_direction_of_edges_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    edges = rng.integers(0, 500, (300, 2)).astype(np.uint64)
    turned = rng.permutation(edges[:, ::-1])
    assert _labels(edges) == _labels(turned)
    assert np.array_equal(
        components.large_star(components.both_ways(edges)),
        components.large_star(components.both_ways(turned)),
    )


def test_nodes_of_64_bits_are_not_truncated() -> None:
    edges = np.array([[2**64 - 1, 2**63], [2**63, 5]], np.uint64)
    assert _labels(edges) == {5: 5, 2**63: 5, 2**64 - 1: 5}
    assert _stars(edges, 2)[0].tolist() == [[2**63, 5], [2**64 - 1, 5]]

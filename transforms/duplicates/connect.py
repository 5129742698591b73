"""Connected components as a Beam transform, over the plain functions of `components`."""

from collections.abc import Callable, Iterable, Iterator

import apache_beam as beam
import numpy as np

from transforms.duplicates import components
from transforms.grouping import divide, group_count

EDGE = np.dtype("<u8")

# Clusters of copies are stars or cliques, which one round flattens; a second one is for chains.
# What is not flat after that, one worker finishes.
_ROUNDS = 2
_LEAF, _CENTER = np.uint64(0), np.uint64(1)


class ConnectedComponents(beam.PTransform):
    """Edges, uint64 [E, 2] as bytes -> the places of each component, uint64 [M] as bytes.

    Args:
        total: a PCollection of one number, how many images there are.
    """

    def __init__(self, total: beam.PCollection) -> None:
        super().__init__()
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, edges: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        for number in range(1, _ROUNDS + 1):
            edges = self._star(edges, f"Large{number}", components.both_ways, components.large_star)
            edges = self._star(edges, f"Small{number}", components.downward, components.small_star)
        unfinished = beam.pvalue.AsSingleton(
            edges
            | "Roles" >> beam.FlatMap(_roles, self._total).with_output_types(tuple[int, bytes])
            | "GroupRoles" >> beam.GroupByKey()
            | "Unfinished" >> beam.Map(_unfinished).with_output_types(int)
            | "AllUnfinished" >> beam.CombineGlobally(sum)
        )
        return (
            edges
            | "ByCenter"
            >> beam.FlatMap(_by_center, self._total, unfinished).with_output_types(
                tuple[int, bytes]
            )
            | "GroupCenters" >> beam.GroupByKey()
            | "Components" >> beam.FlatMap(_connected).with_output_types(bytes)
        )

    def _star(
        self,
        edges: beam.PCollection,
        label: str,
        directed: Callable[[np.ndarray], np.ndarray],
        star: Callable[[np.ndarray], np.ndarray],
    ) -> beam.PCollection:
        return (
            edges
            | f"{label}ByNode"
            >> beam.FlatMap(_by_node, self._total, directed).with_output_types(tuple[int, bytes])
            | f"{label}Group" >> beam.GroupByKey()
            | f"{label}Star" >> beam.Map(_starred, star).with_output_types(bytes)
        )


def _by_node(
    data: bytes, total: int, directed: Callable[[np.ndarray], np.ndarray]
) -> Iterable[tuple[int, bytes]]:
    edges = directed(_edges(data))
    return divide(edges, edges[:, 0] % np.uint64(group_count(total)))


def _starred(group: tuple[int, Iterable[bytes]], star: Callable[[np.ndarray], np.ndarray]) -> bytes:
    return star(_edges(b"".join(group[1]))).astype(EDGE).tobytes()


def _roles(data: bytes, total: int) -> Iterable[tuple[int, bytes]]:
    """Each end of each edge with its role, by node."""
    edges = _edges(data)
    leaves = np.stack([edges[:, 0], np.full(len(edges), _LEAF)], axis=1)
    centers = np.unique(edges[:, 1])
    rows = np.concatenate([leaves, np.stack([centers, np.full(len(centers), _CENTER)], axis=1)])
    return divide(rows, rows[:, 0] % np.uint64(group_count(total)))


def _unfinished(group: tuple[int, Iterable[bytes]]) -> int:
    """Nodes that hang on two centers, or are leaf and center: none in a forest of stars."""
    rows = _edges(b"".join(group[1]))
    leaves = rows[rows[:, 1] == _LEAF, 0]
    centers = rows[rows[:, 1] == _CENTER, 0]
    return len(leaves) - len(np.unique(leaves)) + int(np.isin(leaves, centers).sum())


def _by_center(data: bytes, total: int, unfinished: int) -> Iterable[tuple[int, bytes]]:
    edges = _edges(data)
    groups = 1 if unfinished else group_count(total)
    return divide(edges, edges[:, 1] % np.uint64(groups))


def _connected(group: tuple[int, Iterable[bytes]]) -> Iterator[bytes]:
    nodes, roots = components.components(_edges(b"".join(group[1])))
    order = np.lexsort((nodes, roots))
    _, starts = np.unique(roots[order], return_index=True)
    for part in np.split(nodes[order], starts[1:]):
        yield part.astype(EDGE).tobytes()


def _edges(data: bytes) -> np.ndarray:
    return np.frombuffer(data, EDGE).reshape(-1, 2)

"""Connected components of the pairs of same pictures."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np

_PLACE = np.dtype("<u8")


class ConnectedComponents(beam.PTransform):
    """Edges, uint64 [E, 2] as bytes -> the places of each component, uint64 [M] as bytes."""

    def expand(self, edges: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            edges
            | "ToOnePlace" >> beam.Map(_one_place).with_output_types(tuple[int, bytes])
            | "GroupEdges" >> beam.GroupByKey()
            | "Connect" >> beam.FlatMap(_connect).with_output_types(bytes)
        )


def connected(edges: np.ndarray) -> np.ndarray:
    """The smallest node that each node is connected with.

    Args:
        edges: uint64 [E, 2].

    Returns:
        uint64 [V, 2]: (node, smallest of its component), every node once, in order.
    """
    nodes, flat = np.unique(edges, return_inverse=True)
    parent = np.arange(len(nodes))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for first, second in flat.reshape(-1, 2).tolist():
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    roots = [root(node) for node in range(len(nodes))]
    return np.stack([nodes, nodes[roots]], axis=1) if len(nodes) else np.empty((0, 2), np.uint64)


def _one_place(edges: bytes) -> tuple[int, bytes]:
    # Edges are as many as duplicates, not as images: one worker can hold them.
    return 0, edges


def _connect(group: tuple[int, Iterable[bytes]]) -> Iterator[bytes]:
    edges = np.frombuffer(b"".join(group[1]), _PLACE).reshape(-1, 2)
    stars = connected(edges)
    order = np.lexsort((stars[:, 0], stars[:, 1]))
    _, starts = np.unique(stars[order, 1], return_index=True)
    for part in np.split(stars[order, 0], starts[1:]):
        yield part.tobytes()

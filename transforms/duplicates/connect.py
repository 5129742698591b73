"""Connected components as a Beam transform, over the plain functions of `components`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core.grouping import divide, group_count
from facemill.transforms.duplicates import components

EDGE = np.dtype("<u8")

# Clusters of copies are stars or cliques, which one round flattens; a second one is for chains.
# What is not flat after that, a long chain of video frames, one worker finishes.
_ROUNDS = 2
_UNFINISHED_TAG = "unfinished"


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
        tied = (
            edges
            | "ByEnd" >> beam.FlatMap(_by_end, self._total).with_output_types(tuple[int, bytes])
            | "GroupEnds" >> beam.GroupByKey()
            | "Tied" >> beam.FlatMap(_tied, self._total).with_output_types(tuple[int, bytes])
        )
        stars = edges | "ByCenter" >> beam.FlatMap(_by_center, self._total).with_output_types(
            tuple[int, bytes]
        )
        found = (
            {"edges": stars, "tied": tied}
            | "GroupCenters" >> beam.CoGroupByKey()
            | "Finished" >> beam.ParDo(_Finished()).with_outputs(_UNFINISHED_TAG, main="components")
        )
        rest = (
            found[_UNFINISHED_TAG]
            | "Together" >> beam.Map(_together).with_output_types(tuple[int, bytes])
            | "GroupUnfinished" >> beam.GroupByKey()
            | "Finish" >> beam.FlatMap(_finish).with_output_types(bytes)
        )
        return (found.components, rest) | "Components" >> beam.Flatten()

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


def _by_end(data: bytes, total: int) -> Iterable[tuple[int, bytes]]:
    """Each node of each star with the center, the center with itself, by node."""
    edges = _edges(data)
    centers = np.unique(edges[:, 1])
    rows = np.concatenate([edges, np.stack([centers, centers], axis=1)])
    return divide(rows, rows[:, 0] % np.uint64(group_count(total)))


def _tied(group: tuple[int, Iterable[bytes]], total: int) -> Iterable[tuple[int, bytes]]:
    """Centers of stars that share a node with another star, by center.

    Stars that are connected are so by the nodes that they share, so of a component that is not
    one star yet, every star is among these.
    """
    rows = np.unique(_edges(b"".join(group[1])), axis=0)
    again = rows[1:, 0] == rows[:-1, 0]
    shared = np.r_[again, False] | np.r_[False, again] if len(rows) else np.empty(0, bool)
    centers = np.unique(rows[shared, 1])
    return divide(centers, centers % np.uint64(group_count(total)))


def _by_center(data: bytes, total: int) -> Iterable[tuple[int, bytes]]:
    edges = _edges(data)
    return divide(edges, edges[:, 1] % np.uint64(group_count(total)))


class _Finished(beam.DoFn):
    """Stars that are components; the edges of the others under "unfinished"."""

    def process(
        self, group: tuple[int, dict[str, Iterable[bytes]]]
    ) -> Iterator[bytes | TaggedOutput[Literal["unfinished"], bytes]]:
        edges = _edges(b"".join(group[1]["edges"]))
        rest = np.isin(edges[:, 1], np.frombuffer(b"".join(group[1]["tied"]), EDGE))
        if rest.any():
            yield TaggedOutput(_UNFINISHED_TAG, edges[rest].tobytes())
        yield from _connected(edges[~rest])


def _together(edges: bytes) -> tuple[int, bytes]:
    return 0, edges


def _finish(group: tuple[int, Iterable[bytes]]) -> Iterator[bytes]:
    return _connected(_edges(b"".join(group[1])))


def _connected(edges: np.ndarray) -> Iterator[bytes]:
    nodes, roots = components.components(edges)
    order = np.lexsort((nodes, roots))
    _, starts = np.unique(roots[order], return_index=True)
    for part in np.split(nodes[order], starts[1:]):
        if len(part):
            yield part.astype(EDGE).tobytes()


def _edges(data: bytes) -> np.ndarray:
    return np.frombuffer(data, EDGE).reshape(-1, 2)

"""Connected components as a Beam transform, over the plain functions of `components`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.merging import CoGroup, Merge
from facemill.transforms.core.rows import RowIds, Rows
from facemill.transforms.duplicates import components

# The row ids of two images that are the same.
EDGE = np.dtype(("<u8", (2,)))


class EdgeRows(Rows):
    """EDGE rows."""

    __slots__ = ()
    dtype = EDGE


register(EdgeRows, RowIds)

# Most clusters of copies are stars or cliques, which one round flattens; the second round is for
# chains. One worker finishes what is not flat after that, such as a long chain of video frames.
_ROUNDS = 2
_UNFINISHED_TAG = "unfinished"
_CENTERS_TAG = "centers"


class ConnectedComponents(beam.PTransform):
    """EdgeRows -> RowIds of each component.

    Args:
        total: a PCollection of one number, how many images there are.
    """

    def __init__(self, total: beam.PCollection) -> None:
        super().__init__()
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, edges: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        keyed = edges | "ByNode" >> beam.FlatMap(
            _by_node, self._total, components.both_ways
        ).with_output_types(tuple[int, EdgeRows])
        # The step that makes stars divides them for the next step too. A step that takes the number
        # of images begins a stage on a portable runner, and each stage costs it time.
        for number in range(1, _ROUNDS + 1):
            keyed = (
                keyed
                | f"Large{number}Group" >> beam.GroupByKey()
                | f"Large{number}Star"
                >> beam.FlatMap(
                    _starred_by_node, self._total, components.large_star, components.downward
                ).with_output_types(tuple[int, EdgeRows])
            )
            small = keyed | f"Small{number}Group" >> beam.GroupByKey()
            if number < _ROUNDS:
                keyed = small | f"Small{number}Star" >> beam.FlatMap(
                    _starred_by_node, self._total, components.small_star, components.both_ways
                ).with_output_types(tuple[int, EdgeRows])
        stars = small | f"Small{_ROUNDS}Star" >> beam.ParDo(
            _ByEndAndCenter(), self._total
        ).with_outputs(_CENTERS_TAG, main="ends")
        tied = (
            stars.ends
            | "GroupEnds" >> beam.GroupByKey()
            | "Tied" >> beam.FlatMap(_tied, self._total).with_output_types(tuple[int, RowIds])
        )
        found = (
            {"edges": stars[_CENTERS_TAG], "tied": tied}
            | "GroupCenters" >> CoGroup()
            | "Finished" >> beam.ParDo(_Finished()).with_outputs(_UNFINISHED_TAG, main="components")
        )
        rest = (
            found[_UNFINISHED_TAG]
            | "Together" >> beam.Map(_together).with_output_types(tuple[int, EdgeRows])
            | "GroupUnfinished" >> beam.GroupByKey()
            | "Finish" >> beam.FlatMap(_finish).with_output_types(RowIds)
        )
        return (found.components, rest) | "Components" >> Merge()


def _by_node(
    edge_rows: EdgeRows, total: int, directed: Callable[[np.ndarray], np.ndarray]
) -> Iterable[tuple[int, EdgeRows]]:
    edges = directed(edge_rows.array)
    return EdgeRows.divide(edges, edges[:, 0] % np.uint64(group_count(total)))


def _starred_by_node(
    group: tuple[int, Iterable[EdgeRows]],
    total: int,
    star: Callable[[np.ndarray], np.ndarray],
    directed: Callable[[np.ndarray], np.ndarray],
) -> Iterable[tuple[int, EdgeRows]]:
    return _by_node(_starred(group, star), total, directed)


def _starred(
    group: tuple[int, Iterable[EdgeRows]], star: Callable[[np.ndarray], np.ndarray]
) -> EdgeRows:
    return EdgeRows.of(star(EdgeRows.join(group[1])))


class _ByEndAndCenter(beam.DoFn):
    """Makes the last stars; yields them by end, and by center under the tag "centers"."""

    def process(
        self, group: tuple[int, Iterable[EdgeRows]], total: int
    ) -> Iterator[tuple[int, EdgeRows] | TaggedOutput[Literal["centers"], tuple[int, EdgeRows]]]:
        stars = _starred(group, components.small_star)
        yield from _by_end(stars, total)
        for one in _by_center(stars, total):
            yield TaggedOutput(_CENTERS_TAG, one)


def _by_end(edge_rows: EdgeRows, total: int) -> Iterable[tuple[int, EdgeRows]]:
    """Pairs (node, center) of each star, including (center, center), by node."""
    edges = edge_rows.array
    centers = np.unique(edges[:, 1])
    rows = np.concatenate([edges, np.stack([centers, centers], axis=1)])
    return EdgeRows.divide(rows, rows[:, 0] % np.uint64(group_count(total)))


def _tied(group: tuple[int, Iterable[EdgeRows]], total: int) -> Iterable[tuple[int, RowIds]]:
    """Centers of stars that share a node with another star, by center.

    Stars are connected only through nodes that they share. So if a component is not one star yet,
    each of its stars shares a node with another, and its center is found here.
    """
    rows = np.unique(EdgeRows.join(group[1]), axis=0)
    again = rows[1:, 0] == rows[:-1, 0]
    shared = np.r_[again, False] | np.r_[False, again] if len(rows) else np.empty(0, bool)
    centers = np.unique(rows[shared, 1])
    return RowIds.divide(centers, centers % np.uint64(group_count(total)))


def _by_center(edge_rows: EdgeRows, total: int) -> Iterable[tuple[int, EdgeRows]]:
    edges = edge_rows.array
    return EdgeRows.divide(edges, edges[:, 1] % np.uint64(group_count(total)))


class _Finished(beam.DoFn):
    """Yields stars that are complete components, and the edges of the others as "unfinished"."""

    def process(
        self, group: tuple[int, dict[str, Iterable[Any]]]
    ) -> Iterator[RowIds | TaggedOutput[Literal["unfinished"], EdgeRows]]:
        edges = EdgeRows.join(group[1]["edges"])
        rest = np.isin(edges[:, 1], RowIds.join(group[1]["tied"]))
        if rest.any():
            yield TaggedOutput(_UNFINISHED_TAG, EdgeRows.of(edges[rest]))
        yield from _connected(edges[~rest])


def _together(edges: EdgeRows) -> tuple[int, EdgeRows]:
    return 0, edges


def _finish(group: tuple[int, Iterable[EdgeRows]]) -> Iterator[RowIds]:
    return _connected(EdgeRows.join(group[1]))


def _connected(edges: np.ndarray) -> Iterator[RowIds]:
    nodes, roots = components.components(edges)
    order = np.lexsort((nodes, roots))
    _, starts = np.unique(roots[order], return_index=True)
    for part in np.split(nodes[order], starts[1:]):
        if len(part):
            yield RowIds.of(part)

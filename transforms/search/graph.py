"""The graph of nearest neighbors, collected from all blocks of a search of a set in itself."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError
from facemill.transforms.search.plan import Plan
from facemill.transforms.search.shards import Hits, merge

EDGE = np.dtype([("one", "<i8"), ("other", "<i8"), ("score", "<f4")])


@dataclass(frozen=True)
class Graph:
    """Faces and the pairs of them that are near each other.

    Attributes:
        count: N, number of faces.
        edges: EDGE [E], each pair once with `one < other`, the nearest first; equal scores by the
            numbers of the faces.
    """

    count: int
    edges: np.ndarray

    @classmethod
    def of(cls, count: int, edges: np.ndarray, photos: Sequence[int] | np.ndarray) -> "Graph":
        """The graph of neighbors.

        Args:
            count: N.
            edges: EDGE [E], in any order and direction, with repetitions.
            photos: integers [N], the photo of each face: two faces of one photo are two people, so
                there is no edge between them.
        """
        photo = np.asarray(photos)
        edges = edges[photo[edges["one"]] != photo[edges["other"]]]
        low = np.minimum(edges["one"], edges["other"])
        high = np.maximum(edges["one"], edges["other"])
        _, first = np.unique(np.stack([low, high], axis=1), axis=0, return_index=True)
        found = np.empty(len(first), EDGE)
        found["one"], found["other"] = low[first], high[first]
        found["score"] = edges["score"][first]
        order = np.lexsort((found["other"], found["one"], -found["score"]))
        return cls(count, found[order])


class WriteEdges(beam.PTransform):
    """(number of a block, Hits) -> a receipt for each block, whose edges are in a file.

    Args:
        plan: of the search, of a set in itself.
        folder: of the files, in one that the launcher has made.
    """

    def __init__(self, plan: Plan, folder: str) -> None:
        super().__init__()
        self._plan = plan
        self._folder = folder

    def expand(self, hits: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            hits
            | "ByBlock" >> beam.GroupByKey()
            | "Write" >> beam.Map(write_edges, self._plan, self._folder)
        )


def write_edges(group: tuple[int, Iterable[Hits]], plan: Plan, folder: str) -> dict[str, int]:
    """Writes the edges of the faces of one block.

    Args:
        group: number of the block, and what each shard holds that is near its faces.
        plan: of the search.
        folder: of the files.
    """
    number, hits = group
    best, _ = merge([one.table for one in hits], plan.k)
    edges = np.empty(len(best), EDGE)
    edges["one"] = best["probe"].to_numpy() + plan.block_starts[number]
    edges["other"] = best["row"].to_numpy()
    edges["score"] = best["score"].to_numpy()
    storage.make_folder(folder)
    storage.write_atomically(_file(folder, number), edges.tobytes())
    return {"block": number, "edges": len(edges)}


def read_edges(folder: str, blocks: int) -> np.ndarray:
    """All edges: EDGE [E].

    Args:
        folder: of the files.
        blocks: how many there are.

    Raises:
        NotSharedError: a file is absent: a worker wrote it where the launcher does not see it.
    """

    def parts() -> Iterator[np.ndarray]:
        yield np.zeros(0, EDGE)
        for number in range(blocks):
            try:
                yield np.frombuffer(storage.read_bytes(_file(folder, number)), EDGE)
            except FileNotFoundError:
                raise NotSharedError(_file(folder, number), machine=None) from None

    return np.concatenate(list(parts()))


def _file(folder: str, number: int) -> str:
    return storage.join(folder, f"{number:05d}")

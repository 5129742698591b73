"""Finds the photos that earlier embeddings hold and the input does not hold any more."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np

from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count, partition
from facemill.transforms.core.merging import CoGroup
from facemill.transforms.core.rows import KeyRows
from facemill.transforms.core.totals import SumOf
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import image_key
from facemill.transforms.scoring.known import Earlier, known_photos

register(KeyRows)


class FindRemoved(beam.PTransform):
    """Chunk -> lists of image_ids of the photos that have gone since, each in one of the lists.

    Args:
        earlier: embeddings, the oldest first.
        known: path of the file that `transforms.scoring.known.write_known` made of them.
        total: a PCollection of numbers whose sum is how many images were listed.
    """

    def __init__(self, earlier: Sequence[Earlier], known: str, total: beam.PCollection) -> None:
        super().__init__()
        self._parts = [(one, path) for one in earlier for path in one.paths()]
        self._known = known
        self._total = SumOf(total)

    def expand(self, chunks: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        listed = chunks | "Listed" >> beam.FlatMap(_listed, self._total).with_output_types(
            tuple[int, KeyRows]
        )
        known = (
            chunks.pipeline
            | "Parts" >> beam.Create(range(len(self._parts)), reshuffle=False)
            | "Known"
            >> beam.FlatMap(_known, self._parts, self._known, self._total).with_output_types(
                tuple[int, list[str]]
            )
        )
        both = {"listed": listed, "known": known} | "ByKey" >> CoGroup()
        return both | "Gone" >> beam.FlatMap(_gone).with_output_types(list[str])


def _listed(chunk: Chunk, total: int) -> Iterator[tuple[int, KeyRows]]:
    keys = np.fromiter((image_key(ref.image_id) for ref in chunk.refs), KeyRows.dtype, chunk.count)
    yield from KeyRows.divide(keys, keys % np.uint64(group_count(total)))


def _known(
    number: int, parts: Sequence[tuple[Earlier, str]], known: str, total: int
) -> Iterator[tuple[int, list[str]]]:
    """The photos of a part that have not gone yet, by group."""
    earlier, path = parts[number]
    if earlier.is_removed(path):
        return
    last, count = known_photos(known), group_count(total)
    names = dict.fromkeys(name for name, _ in earlier.photos(path) if last.has(name))
    yield from partition(names, lambda name: image_key(name) % count).items()


def _gone(group: tuple[int, Mapping[str, Iterable[Any]]]) -> list[list[str]]:
    _, both = group
    listed = KeyRows.join(both["listed"])
    names = sorted({name for some in both["known"] for name in some})
    keys = np.fromiter(map(image_key, names), KeyRows.dtype, len(names))
    absent = ~np.isin(keys, listed)
    gone = [name for name, is_absent in zip(names, absent, strict=True) if is_absent]
    return [gone] if gone else []

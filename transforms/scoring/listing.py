"""Listing what is to be scored."""

from collections.abc import Iterable

import apache_beam as beam

from transforms.chunk import Chunk
from transforms.grouping import partition
from transforms.keyed import keyed_hash
from transforms.places import CHUNK
from transforms.sources.base import Ref


class GroupByRange(beam.PTransform):
    """Chunk -> (range, lists of Ref): images of one key range, whatever chunk they came in.

    Args:
        total: a PCollection of one number, how many images there are.
    """

    def __init__(self, total: beam.PCollection) -> None:
        super().__init__()
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, chunks: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            chunks
            | "ByRange"
            >> beam.FlatMap(_by_range, self._total).with_output_types(tuple[int, list[Ref]])
            | "GroupRanges" >> beam.GroupByKey()
        )


def _by_range(chunk: Chunk, total: int) -> Iterable[tuple[int, list[Ref]]]:
    ranges = max(1, total // CHUNK)
    return partition(chunk.refs, lambda one: keyed_hash(0, "score", one.image_id) % ranges).items()

"""Groups the chunks of a listing: a worker reads and scores one chunk group at a time."""

from collections.abc import Sequence

import apache_beam as beam

from facemill.transforms.core.row_ids import CHUNK, MAX_CHUNKS, NEW, chunk_number
from facemill.transforms.core.totals import SumOf
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import group_tasks

# Chunks, or calls of the model, in a group: enough that the padding of its last call, and the time
# until its first images are read, cost little.
IN_GROUP = 4


class GroupChunks(beam.PTransform):
    """Chunk -> (number of a chunk group, its chunks in any order).

    A chunk group holds neighboring chunks of the listing, enough to fill calls of the model; if
    folders hold a few images each, it spans several folders. It depends on the listing alone, and
    so does which images share a call. A worker reads a group in the order of the listing, so it
    reads each file from front to back.

    Args:
        tasks: the parts of the input.
        total: a PCollection of numbers whose sum is how many images were listed.
        batch_size: images in one call of the model.
    """

    def __init__(self, tasks: Sequence[str], total: beam.PCollection, batch_size: int) -> None:
        super().__init__()
        self._groups = len(group_tasks(tasks))
        self._total = SumOf(total)
        self._images = IN_GROUP * max(CHUNK, batch_size)

    def expand(self, chunks: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            chunks
            | "ByChunkGroup"
            >> beam.Map(_by_chunk_group, self._total, self._groups, self._images).with_output_types(
                tuple[int, Chunk]
            )
            | "GroupChunks" >> beam.GroupByKey()
        )


def chunk_group_number(chunk: int, total: int, groups: int, images: int) -> int:
    """The chunk group that a chunk belongs to.

    Args:
        chunk: the number of the chunk; see `transforms.core.row_ids`.
        total: the number of listed images.
        groups: the number of groups that `transforms.scan.listing.group_tasks` returns.
        images: how many images a chunk group should have.
    """
    group, ordinal = divmod(chunk, MAX_CHUNKS)
    neighbors = max(1, images * groups // max(1, total))
    return chunk_number(NEW, group // neighbors, ordinal // max(1, images // CHUNK))


def _by_chunk_group(chunk: Chunk, total: int, groups: int, images: int) -> tuple[int, Chunk]:
    return chunk_group_number(chunk.number, total, groups, images), chunk

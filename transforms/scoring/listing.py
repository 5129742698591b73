"""From a listing to the groups of chunks that a worker reads and scores in one go."""

from collections.abc import Sequence

import apache_beam as beam

from facemill.transforms.core.row_ids import CHUNK, MAX_CHUNKS, NEW, chunk_number
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import together

# Chunks, and calls of the model, in a group: enough that its last call, which is filled up,
# counts for little.
_IN_GROUP = 2


class GroupChunks(beam.PTransform):
    """Chunk -> (number of a chunk group, its chunks in any order).

    A chunk group is neighbors in the listing, enough of them to fill calls of the model; where
    folders hold a few images each, it takes several folders. It follows from the listing alone, so
    which images share a call does too; and in the listing's order files are read from front to
    back.

    Args:
        tasks: parts of the listing.
        total: a PCollection of one number, how many images were listed.
        batch_size: images in one call of the model.
    """

    def __init__(self, tasks: Sequence[str], total: beam.PCollection, batch_size: int) -> None:
        super().__init__()
        self._groups = len(together(tasks))
        self._total = beam.pvalue.AsSingleton(total)
        self._images = _IN_GROUP * max(CHUNK, batch_size)

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
        chunk: its number; see `transforms.core.row_ids`.
        total: images that were listed.
        groups: parts of the listing, as `transforms.scan.listing.together` has them.
        images: that a chunk group should have.
    """
    group, ordinal = divmod(chunk, MAX_CHUNKS)
    neighbors = max(1, images * groups // max(1, total))
    return chunk_number(NEW, group // neighbors, ordinal // max(1, images // CHUNK))


def _by_chunk_group(chunk: Chunk, total: int, groups: int, images: int) -> tuple[int, Chunk]:
    return chunk_group_number(chunk.number, total, groups, images), chunk

"""How a search is divided: the gallery into shards that fit a worker, the probes into blocks."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.grouping import group_count
from facemill.transforms.scoring.embeddings import EmbeddingSet, Slice
from facemill.transforms.search.methods import EXACT

# Probes of a block, which is a part of the result too, so it depends on no option.
BLOCK = 4096
# Blocks that a worker compares with a shard once it has loaded it.
GROUP = 4
# Of a worker's memory, what the embeddings of a shard take: 2 parts of 5. The process itself, names
# and what is in work take the rest.
_PART, _PARTS = 2, 5


@dataclass(frozen=True)
class Plan:
    """A search of probes in a gallery.

    Attributes:
        probes: their embeddings.
        gallery: the embeddings that are searched.
        blocks: of the probes.
        shards: of the gallery.
        block_starts: number of the first probe of each block among all probes.
        shard_starts: number of the first row of each shard among all of the gallery.
        same: whether probes and gallery are one set, so that no probe matches itself.
        k: neighbors of each probe.
        threshold: least cosine of a match; None for none.
        keeps_best: whether the nearest row of a probe is kept though it is below the threshold.
        search: one of `methods.SEARCHES`.
    """

    probes: EmbeddingSet
    gallery: EmbeddingSet
    blocks: tuple[tuple[Slice, ...], ...]
    shards: tuple[tuple[Slice, ...], ...]
    block_starts: tuple[int, ...]
    shard_starts: tuple[int, ...]
    same: bool
    k: int
    threshold: float | None
    keeps_best: bool = True
    search: str = EXACT

    @property
    def groups(self) -> int:
        """The number of groups of blocks."""
        return group_count(len(self.blocks), GROUP)

    @property
    def probe_count(self) -> int:
        """The number of probes."""
        return sum(len(one) for block in self.blocks for one in block)

    @property
    def gallery_count(self) -> int:
        """The number of rows in the gallery."""
        return sum(len(one) for shard in self.shards for one in shard)


def plan(
    probes: EmbeddingSet,
    gallery: EmbeddingSet,
    memory: int,
    k: int,
    threshold: float | None,
    keeps_best: bool = True,
    search: str = EXACT,
    may_lack_probes: bool = False,
) -> Plan:
    """Divides a search.

    Args:
        probes: their embeddings.
        gallery: the embeddings that are searched.
        memory: bytes that a worker may use.
        k: neighbors of each probe.
        threshold: see `Plan`.
        keeps_best: see `Plan`.
        search: see `Plan`.
        may_lack_probes: whether there may be no probe, as in a night without new photos.

    Raises:
        UsageError: a set is empty.
        RunError: a part cannot be read.
    """
    same = probes.path == gallery.path or probes.entries == gallery.entries
    probe_rows = probes.part_rows()
    gallery_rows = probe_rows if same else gallery.part_rows()
    for name, given, rows, may_be_empty in (
        ("probes", probes, probe_rows, may_lack_probes),
        ("gallery", gallery, gallery_rows, False),
    ):
        if not sum(rows) and not may_be_empty:
            raise ParameterError(
                name, given.path, must="hold embeddings", but="it has no row", do="score images"
            )
    # An index holds a copy.
    row = 4 * gallery.size * (1 if search == EXACT else 2)
    per_shard = max(memory * _PART // _PARTS // row, BLOCK)
    # Shards of equal size, since the largest one needs the memory.
    total = sum(gallery_rows)
    per_shard = -(-total // group_count(total, per_shard))
    blocks, shards = divide(probe_rows, BLOCK), divide(gallery_rows, per_shard)
    return Plan(
        probes,
        gallery,
        blocks,
        shards,
        _starts(blocks),
        _starts(shards),
        same,
        k,
        threshold,
        keeps_best,
        search,
    )


def divide(part_rows: Sequence[int], rows: int) -> tuple[tuple[Slice, ...], ...]:
    """Divides the rows of all parts, in order, into pieces of `rows` rows; the last may be smaller.

    Args:
        part_rows: the number of rows of each part.
        rows: of a piece, 1 or more.
    """
    pieces: list[tuple[Slice, ...]] = []
    piece: list[Slice] = []
    room = rows
    for part, count in enumerate(part_rows):
        start = 0
        while start < count:
            stop = min(count, start + room)
            piece.append(Slice(part, start, stop))
            room -= stop - start
            start = stop
            if not room:
                pieces.append(tuple(piece))
                piece, room = [], rows
    if piece:
        pieces.append(tuple(piece))
    return tuple(pieces)


def _starts(pieces: Sequence[Sequence[Slice]]) -> tuple[int, ...]:
    sizes = (sum(map(len, piece)) for piece in pieces)
    return tuple(itertools.accumulate(sizes, initial=0))[:-1]

"""One shard of a gallery in memory, and what it holds that is near some probes."""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms.scoring.embeddings import ID, Block, EmbeddingSet, Slice, unit
from facemill.transforms.search import approximate, exact
from facemill.transforms.search.exact import Candidates
from facemill.transforms.search.methods import EXACT
from facemill.transforms.search.plan import Plan

IDENTITY = "identity"
# Of so many probes one is searched exactly too, where the search is approximate.
SAMPLED = 32
_NAMES = (ID, IDENTITY)

HITS = pa.schema(
    [
        # Number in its block.
        ("probe", pa.int32()),
        # Number among all of the gallery.
        ("row", pa.int64()),
        (ID, pa.string()),
        (IDENTITY, pa.string()),
        ("score", pa.float32()),
    ]
)


@dataclass(frozen=True)
class Hits:
    """What one shard holds that is near the probes of one block.

    Attributes:
        data: a table of HITS, as Arrow's stream.
        exact: of some probes, what the exact search finds, likewise; empty where all of it is.
    """

    data: bytes
    exact: bytes = b""

    @classmethod
    def of(cls, table: pa.Table, exactly: pa.Table | None = None) -> "Hits":
        """The hits in a table, and those of a sample of the probes by the exact search."""
        return cls(_stream(table), b"" if exactly is None else _stream(exactly))

    @property
    def table(self) -> pa.Table:
        """The hits."""
        return pa.ipc.open_stream(self.data).read_all()

    @property
    def sample(self) -> pa.Table:
        """What the exact search finds of the sampled probes."""
        return pa.ipc.open_stream(self.exact).read_all() if self.exact else HITS.empty_table()


@dataclass(frozen=True)
class Shard:
    """Rows of a gallery.

    Attributes:
        vectors: float32 [G, D], of length 1.
        names: columns image_id and identity.
        order: int64 [G], position of each image_id among those of the shard.
        start: number of the first row among all of the gallery.
        candidates: of an approximate search, see `approximate.build`.
    """

    vectors: np.ndarray
    names: pa.Table
    order: np.ndarray
    start: int
    candidates: Candidates | None = None


def load(
    given: EmbeddingSet, slices: tuple[Slice, ...], start: int = 0, method: str = EXACT
) -> Shard:
    """Loads rows of a set.

    Args:
        given: the set.
        slices: which rows.
        start: number of the first one among all of the set.
        method: of the search, one of `methods.SEARCHES`.

    Raises:
        RunError: a part cannot be used, or an embedding is not finite or all zeros.
    """
    vectors = np.empty((sum(map(len, slices)), given.size), np.float32)
    names: list[pa.Table] = []
    at = 0
    for block in given.blocks(slices, _NAMES):
        vectors[at : at + len(block)] = unit(block.vectors, given.path)
        names.append(_named(block))
        at += len(block)
    table = pa.concat_tables(names).combine_chunks()
    order = np.empty(at, np.int64)
    order[pc.sort_indices(table[ID]).to_numpy()] = np.arange(at)
    return Shard(vectors, table, order, start, approximate.build(method, vectors))


def search(plan: Plan, shard: Shard, block: int, pool: Executor | None = None) -> Hits:
    """The hits of a block of probes in a shard.

    Args:
        plan: of the search.
        shard: of its gallery.
        block: number of the block.
        pool: see `exact.nearest`.

    Raises:
        RunError: see `load`.
    """
    probes = np.concatenate(
        [
            unit(one.vectors, plan.probes.path)
            for one in plan.probes.blocks(plan.blocks[block], columns=())
        ]
    )
    own = None
    if plan.same:
        own = plan.block_starts[block] + np.arange(len(probes)) - shard.start
    gallery = (shard.vectors, shard.order, plan.k)
    found = exact.nearest(probes, *gallery, own, pool, shard.candidates)
    numbers = np.arange(len(probes))
    if shard.candidates is None:
        return Hits.of(_table(plan, shard, found, numbers))
    some = numbers[::SAMPLED]
    same = exact.nearest(probes[some], *gallery, None if own is None else own[some], pool)
    return Hits.of(_table(plan, shard, found, numbers), _table(plan, shard, same, some))


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, HITS) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _table(plan: Plan, shard: Shard, found: exact.Neighbors, probes: np.ndarray) -> pa.Table:
    """The rows of HITS of some neighbors.

    Args:
        plan: of the search.
        shard: that they are in.
        found: neighbors of P probes.
        probes: integers [P], the number of each in its block.
    """
    kept = found.rows != exact.NOTHING
    if plan.threshold is not None:
        above = found.scores >= np.float32(plan.threshold)
        if plan.keeps_best:
            above[:, 0] = True
        kept &= above
    numbers, places = np.nonzero(kept)
    rows = found.rows[numbers, places]
    names = shard.names.take(pa.array(rows))
    return pa.table(
        [
            pa.array(probes[numbers], pa.int32()),
            pa.array(rows + shard.start, pa.int64()),
            names[ID],
            names[IDENTITY],
            pa.array(found.scores[numbers, places], pa.float32()),
        ],
        schema=HITS,
    )


def merge(hits: list[pa.Table], k: int) -> tuple[pa.Table, np.ndarray]:
    """The best hits of each probe among those of all shards, by probe and from the best on.

    Args:
        hits: tables of HITS, in any order.
        k: of each probe at most.

    Returns:
        (table of HITS, int64 [N] rank of each, from 1).
    """
    table = pa.concat_tables([HITS.empty_table(), *hits]).combine_chunks()
    chosen, ranks = exact.best_of(
        table["probe"].to_numpy(), table[ID].to_pylist(), table["score"].to_numpy(), k
    )
    return table.take(pa.array(chosen)), ranks


def _named(block: Block) -> pa.Table:
    """The names of a block, as strings; parts may encode them in other ways."""
    return block.table.cast(pa.schema([(name, pa.string()) for name in _NAMES]))

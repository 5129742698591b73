"""The search as Beam steps: a worker loads a shard of the gallery and compares blocks with it."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam

from facemill.transforms.core.coders import register
from facemill.transforms.core.same_version import SameVersion
from facemill.transforms.dataset.done_marks import mark_done
from facemill.transforms.search.plan import GROUP, Plan
from facemill.transforms.search.shards import Hits, Shard, load, search

register(Hits)


class FindNeighbors(beam.PTransform):
    """A pipeline -> (number of a block, Hits), for each block and each shard.

    Args:
        plan: of the search.
        threads: that search in a worker process at the same time; never changes the result.
        progress: folder in which the compared probes are counted, see `done_marks`.
    """

    def __init__(self, plan: Plan, threads: int, progress: str) -> None:
        super().__init__()
        self._plan = plan
        self._threads = threads
        self._progress = progress

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Builds the graph."""
        groups = self._plan.groups
        tasks = [
            (shard * groups + block // GROUP, block)
            for shard in range(len(self._plan.shards))
            for block in range(len(self._plan.blocks))
        ]
        return (
            pipeline
            | "Tasks" >> beam.Create(tasks, reshuffle=False).with_output_types(tuple[int, int])
            # Tasks of one shard meet, so it is loaded once for several blocks.
            | "ByShard" >> beam.GroupByKey()
            | "Search"
            >> beam.ParDo(_Search(self._plan, self._threads, self._progress)).with_output_types(
                tuple[int, Hits]
            )
        )


class _Search(beam.DoFn):
    """(shard and group of blocks, blocks) -> (block, Hits)."""

    def __init__(self, plan: Plan, threads: int, progress: str) -> None:
        self._version = SameVersion()
        self._plan = plan
        self._threads = threads
        self._progress = progress

    def setup(self) -> None:
        # faiss and OpenBLAS release the GIL.
        self._pool = ThreadPoolExecutor(self._threads)
        # Shards come one after the other, so the last one serves several groups.
        self._loaded: tuple[int, Shard] | None = None

    def teardown(self) -> None:
        self._loaded = None
        self._pool.shutdown()

    def process(self, task: tuple[int, Iterable[int]]) -> Iterator[tuple[int, Hits]]:
        number = task[0] // self._plan.groups
        shard = self._shard(number)
        for block in sorted(task[1]):
            yield block, search(self._plan, shard, block, self._pool)
            count = sum(map(len, self._plan.blocks[block]))
            mark_done(self._progress, f"{number}x{block}", count)

    def _shard(self, number: int) -> Shard:
        if self._loaded is None or self._loaded[0] != number:
            # Before the next one is loaded, so that memory holds one.
            self._loaded = None
            plan = self._plan
            self._loaded = (
                number,
                load(plan.gallery, plan.shards[number], plan.shard_starts[number], plan.search),
            )
        return self._loaded[1]

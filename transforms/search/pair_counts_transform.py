"""The counts of all pairs as Beam steps: workers read blocks and count, a combiner adds up."""

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam

from facemill.transforms import storage
from facemill.transforms.core.same_version import SameVersion
from facemill.transforms.dataset.done_marks import mark_done
from facemill.transforms.search.pair_counts import PairCounts, PairPlan, count_tasks

# Tasks of one element; a task takes about a second.
_TASKS = 16


class CountPairs(beam.PTransform):
    """A pipeline -> nothing; writes the counts of all pairs to a file, see `PairCounts.to_bytes`.

    Args:
        plan: of the pairs.
        threads: tasks at a time in each worker process; never changes the result.
        path: of the file, whose folder the launcher has made.
        progress: folder in which finished tasks are marked, see `done_marks`.
    """

    def __init__(self, plan: PairPlan, threads: int, path: str, progress: str) -> None:
        super().__init__()
        self._plan = plan
        self._threads = threads
        self._path = path
        self._progress = progress

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Builds the graph."""
        tasks = self._plan.tasks()
        groups = [tasks[start : start + _TASKS] for start in range(0, len(tasks), _TASKS)]
        return (
            pipeline
            | "Tasks" >> beam.Create(groups)
            | "Count"
            >> beam.ParDo(_Count(self._plan, self._threads, self._progress)).with_output_types(
                bytes
            )
            | "Sum" >> beam.CombineGlobally(SumCounts())
            | "Write" >> beam.Map(_write, self._path)
        )


class SumCounts(beam.CombineFn):
    """Counts as bytes -> the sum of all, as bytes; of whole numbers, so any order gives the same.

    See `PairCounts.to_bytes`.
    """

    def create_accumulator(self) -> PairCounts:
        """No pairs."""
        return PairCounts.zero()

    def add_input(self, accumulator: PairCounts, data: bytes) -> PairCounts:
        """Adds the counts of some tasks."""
        accumulator.add_bytes(data)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[PairCounts]) -> PairCounts:
        """Adds the sums of several workers."""
        found = PairCounts.zero()
        for one in accumulators:
            found.add(one)
        return found

    def extract_output(self, accumulator: PairCounts) -> bytes:
        """The sum."""
        return accumulator.to_bytes()


class _Count(beam.DoFn):
    """Tasks -> the sum of their counts."""

    def __init__(self, plan: PairPlan, threads: int, progress: str) -> None:
        self._version = SameVersion()
        self._plan = plan
        self._threads = threads
        self._progress = progress

    def process(self, tasks: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        found = PairCounts.zero()
        for task, counts in zip(tasks, count_tasks(self._plan, tasks, self._threads), strict=True):
            found.add(counts)
            mark_done(self._progress, f"{task[0]}x{task[1]}", 1)
        yield found.to_bytes()


def _write(data: bytes, path: str) -> None:
    storage.write_atomically(path, data)

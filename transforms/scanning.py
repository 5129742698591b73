"""The scan as a Beam transform, over worker processes of its own where a machine has the cores."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms import processes
from transforms.chunk import Chunk
from transforms.errors import RunError
from transforms.scan import ScanJob, Scanned, scan_packed

# Chunks that each process has before it, so that none waits for the next.
_AHEAD = 2


class ScanImages(beam.PTransform):
    """Chunk -> Scanned.

    Args:
        job: what all chunks have in common.
        workers: processes in each of the engine's worker processes; never changes the result.
    """

    def __init__(self, job: ScanJob, workers: int) -> None:
        super().__init__()
        self._job = job
        self._workers = workers

    def expand(self, chunks: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return chunks | "Read" >> beam.ParDo(_Scan(self._job, self._workers)).with_output_types(
            Scanned
        )


class _Scan(beam.DoFn):
    def __init__(self, job: ScanJob, workers: int) -> None:
        self._job = job
        self._workers = workers

    def start_bundle(self) -> None:
        self._pending: deque[Future[Scanned]] = deque()

    def process(self, chunk: Chunk) -> Iterator[Scanned]:
        if self._workers == 1:
            yield scan_packed(self._job, chunk)
            return
        pool = processes.shared(self._workers)
        self._pending.append(pool.submit(scan_packed, self._job, chunk))
        while len(self._pending) > _AHEAD * self._workers:
            yield self._next()

    def finish_bundle(self) -> Iterable[WindowedValue]:
        window = GlobalWindow()
        while self._pending:
            yield WindowedValue(self._next(), window.max_timestamp(), [window])

    def _next(self) -> Scanned:
        try:
            return self._pending.popleft().result()
        except BrokenProcessPool:
            raise RunError(
                "All --workers must live to the end, but one was killed, perhaps for want of "
                "memory; give fewer --workers and run the command again."
            ) from None

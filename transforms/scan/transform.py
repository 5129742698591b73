"""The scan as a Beam transform, which can use worker processes of its own."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.utils.windowed_value import WindowedValue

from facemill.transforms.core import counters
from facemill.transforms.core.processes import Calls
from facemill.transforms.core.row_ids import NEW, origin_of_chunk
from facemill.transforms.core.windowed import at_end
from facemill.transforms.scan import coders as _coders  # noqa: F401 - gives Scanned its coder
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.prefetch import prefetched
from facemill.transforms.scan.scan_chunk import ScanJob, Scanned, scan_packed


class ScanImages(beam.PTransform):
    """Chunk -> Scanned.

    Args:
        job: the settings that all chunks share.
        workers: scan processes for each worker process of the runner; never changes the result.
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
        self._calls: Calls[Scanned] = Calls(self._workers)

    def process(self, chunk: Chunk) -> Iterator[Scanned]:
        started = prefetched(self._job, chunk)
        if started is not None:
            yield from map(_counted, self._calls.wait_for(started))
        else:
            yield from map(_counted, self._calls.call(scan_packed, self._job, chunk))

    def finish_bundle(self) -> Iterable[WindowedValue]:
        return (at_end(_counted(one)) for one in self._calls.rest())


def _counted(scanned: Scanned) -> Scanned:
    """The result of a chunk, whose images a runner shows in its counters from here on."""
    if origin_of_chunk(scanned.chunk) == NEW:
        counters.count("images_scanned", scanned.count)
        for code, count in scanned.rejected.items():
            counters.count(f"rejected_{code}", count)
    return scanned

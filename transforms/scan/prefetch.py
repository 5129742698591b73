"""Prefetch: worker processes scan chunks before the runner starts.

Loading Beam and TensorFlow and building a graph keeps one core busy for seconds, as long as a small
collection takes to scan. Meanwhile worker processes scan chunks, and this module keeps the results
until the graph asks for the same chunk. It works only where the graph runs in this process.
"""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

from facemill.transforms.core import processes
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.scan_chunk import ScanJob, Scanned, scan_packed


@contextmanager
def prefetch(job: ScanJob, chunks: Iterable[Chunk], workers: int) -> Iterator[None]:
    """Scans chunks while the block runs, until `prefetched` is first called.

    Args:
        job: the settings that all chunks share.
        chunks: the chunks as the graph lists them, in any order; the scan of a chunk that the
            graph does not ask for is wasted.
        workers: the number of worker processes.
    """
    prefetcher = _Prefetcher(job, chunks, workers)
    prefetcher.start()
    _prefetchers[job.staging] = prefetcher
    try:
        yield
    finally:
        prefetcher.close()
        del _prefetchers[job.staging]


def prefetched(job: ScanJob, chunk: Chunk) -> Future[Scanned] | None:
    """The scan of a chunk, or None if no scan of it was started.

    The first call ends the prefetch: from then on only the graph starts scans.
    """
    prefetcher = _prefetchers.get(job.staging)
    return None if prefetcher is None else prefetcher.take(chunk)


class _Prefetcher:
    def __init__(self, job: ScanJob, chunks: Iterable[Chunk], workers: int) -> None:
        self._job = job
        self._chunks = chunks
        self._workers = workers
        self._started: dict[Chunk, Future[Scanned]] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._free = threading.Semaphore(processes.AHEAD * workers)
        self._thread = threading.Thread(target=self._submit_chunks, daemon=True)

    def start(self) -> None:
        for _ in range(self._workers):
            # Processes that start now inherit the launcher's stderr; later, while modules are
            # imported, it is redirected.
            processes.submit(self._workers, int)
        self._thread.start()

    def take(self, chunk: Chunk) -> Future[Scanned] | None:
        with self._lock:
            self._stopped = True
            return self._started.pop(chunk, None)

    def close(self) -> None:
        """Stops the prefetch and waits until no scan runs any more."""
        with self._lock:
            self._stopped = True
        self._free.release()
        self._thread.join()
        for future in self._started.values():
            future.cancel()
        wait(self._started.values())

    def _submit_chunks(self) -> None:
        try:
            for chunk in self._chunks:
                self._free.acquire()
                if not self._start_scan(chunk):
                    return
        # The graph lists the same input and calls the same processes, so it reports the error.
        except Exception:  # noqa: BLE001
            return

    def _start_scan(self, chunk: Chunk) -> bool:
        with self._lock:
            if self._stopped:
                return False
            future = processes.submit(self._workers, scan_packed, self._job, chunk)
            self._started[chunk] = future
        future.add_done_callback(lambda _: self._free.release())
        return True


# By staging folder, which belongs to one run.
_prefetchers: dict[str, _Prefetcher] = {}

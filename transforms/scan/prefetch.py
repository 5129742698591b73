"""Scanning before the engine is there.

Loading Beam and TensorFlow and building a graph keeps one core busy for seconds, as long as a small
collection takes to scan. Meanwhile worker processes can read: what they find waits here until the
graph asks for the same chunk. That works where the graph runs in this process, and nowhere else.
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
        job: what all chunks have in common.
        chunks: in any order, as the graph will have them; a chunk that the graph does not ask for
            was scanned in vain.
        workers: processes.
    """
    reader = _Prefetcher(job, chunks, workers)
    reader.start()
    _readers[job.staging] = reader
    try:
        yield
    finally:
        reader.close()
        del _readers[job.staging]


def prefetched(job: ScanJob, chunk: Chunk) -> Future[Scanned] | None:
    """The scan of a chunk, if it has been begun; from now on the graph alone begins scans."""
    reader = _readers.get(job.staging)
    return None if reader is None else reader.take(chunk)


class _Prefetcher:
    def __init__(self, job: ScanJob, chunks: Iterable[Chunk], workers: int) -> None:
        self._job = job
        self._chunks = chunks
        self._workers = workers
        self._begun: dict[Chunk, Future[Scanned]] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._free = threading.Semaphore(processes.AHEAD * workers)
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        for _ in range(self._workers):
            # Started here, processes have this one's stderr, and not what an import is given.
            processes.submit(self._workers, int)
        self._thread.start()

    def take(self, chunk: Chunk) -> Future[Scanned] | None:
        with self._lock:
            self._stopped = True
            return self._begun.pop(chunk, None)

    def close(self) -> None:
        """Returns when nothing of this is under way any more."""
        with self._lock:
            self._stopped = True
        self._free.release()
        self._thread.join()
        for future in self._begun.values():
            future.cancel()
        wait(self._begun.values())

    def _read(self) -> None:
        try:
            for chunk in self._chunks:
                self._free.acquire()
                if not self._begin(chunk):
                    return
        # The graph lists the same input, and calls the same processes, and tells what is wrong.
        except Exception:  # noqa: BLE001
            return

    def _begin(self, chunk: Chunk) -> bool:
        with self._lock:
            if self._stopped:
                return False
            future = processes.submit(self._workers, scan_packed, self._job, chunk)
            self._begun[chunk] = future
        future.add_done_callback(lambda _: self._free.release())
        return True


# By staging folder, which is a run's own.
_readers: dict[str, _Prefetcher] = {}

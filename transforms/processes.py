"""Worker processes on this machine, for work that Python's lock would keep on one core."""

import functools
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor

import cv2


def executor(workers: int) -> ProcessPoolExecutor:
    """So many processes, which end when this one does, however it ends.

    Spawned, not forked: a fork would copy the locks of whatever threads the caller has. An
    executor, not a Pool: a Pool waits for ever for a worker that was killed.
    """
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start)


@functools.cache
def shared(workers: int) -> ProcessPoolExecutor:
    """One executor for the whole process: an engine makes many DoFns, cores are few."""
    return executor(workers)


def _start() -> None:
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and closes
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, so that it won't write where another run does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Worker processes on this machine, for work that Python's lock would keep on one core."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from facemill.transforms.core.errors import RunError

# Calls that each process has before it, so that none waits for the next.
AHEAD = 2

_Result = TypeVar("_Result")


def executor(workers: int) -> ProcessPoolExecutor:
    """So many processes, which end when this one does, however it ends.

    Spawned, not forked: a fork would copy the locks of whatever threads the caller has. An
    executor, not a Pool: a Pool waits for ever for a worker that was killed.

    Python has each of them import the main module of this process, beside what it is called for.
    That of `facemill` is light. That of an engine's worker is Beam's `sdk_worker_main`, which costs
    each process about a second of CPU and 200 MB.
    """
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start)


_executors: dict[int, ProcessPoolExecutor] = {}
_lock = threading.Lock()


def shared(workers: int) -> ProcessPoolExecutor:
    """One executor for the whole process: an engine makes many DoFns, cores are few."""
    with _lock:
        if workers not in _executors:
            _executors[workers] = executor(workers)
        return _executors[workers]


def submit(workers: int, function: Callable[..., _Result], *given: Any) -> Future[_Result]:
    """A call of the shared processes; of new ones if one of them was killed since the last call.

    Those who wait for an earlier call are told of the kill. This one can still succeed, and so can
    what an engine tries again in this process.

    Raises:
        RunError: new ones were killed at once.
    """
    pool = shared(workers)
    try:
        return pool.submit(function, *given)
    except BrokenProcessPool:
        with _lock:
            if _executors.get(workers) is pool:
                del _executors[workers]
    with telling_of_kills():
        return shared(workers).submit(function, *given)


@contextmanager
def telling_of_kills() -> Iterator[None]:
    """Tells in a sentence that a process was killed, where a block waits for processes.

    Raises:
        RunError: one was.
    """
    try:
        yield
    except BrokenProcessPool:
        raise RunError(
            "All `workers` must live to the end, but one was killed, perhaps for want of "
            "memory; give fewer `workers` and run the command again."
        ) from None


class Calls(Generic[_Result]):
    """Calls of worker processes, whose results come in the order of the calls.

    Args:
        workers: processes; with one, this process makes the calls itself.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pending: deque[Future[_Result]] = deque()

    def call(self, function: Callable[..., _Result], *given: Any) -> Iterator[_Result]:
        """Makes a call; results of earlier ones where enough calls wait, or else nothing.

        Raises:
            RunError: a process was killed.
        """
        if self._workers == 1:
            yield function(*given)
            return
        yield from self.wait_for(submit(self._workers, function, *given))

    def wait_for(self, future: Future[_Result]) -> Iterator[_Result]:
        """`call` for a call that was made elsewhere."""
        self._pending.append(future)
        while len(self._pending) > AHEAD * self._workers:
            yield self._next()

    def rest(self) -> Iterator[_Result]:
        """The results that are still to come."""
        while self._pending:
            yield self._next()

    def _next(self) -> _Result:
        with telling_of_kills():
            return self._pending.popleft().result()


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and closes
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, so that it won't write where another run does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Worker processes on this machine, for work that Python's GIL would keep on one core."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Generic, TypeVar

from facemill.transforms.core.errors import RunError

# Calls queued for each process, so that no process waits for its next call.
AHEAD = 2

_Result = TypeVar("_Result")


def executor(workers: int) -> ProcessPoolExecutor:
    """A pool of worker processes, which end when this process ends, however it ends.

    Spawned, not forked: a fork would copy the locks of whatever threads the caller has. An
    executor, not a Pool: a Pool waits for ever for a worker that was killed.

    They do not import the main module of this process, so functions and values that they get must
    be of modules that can be imported.
    """
    return ProcessPoolExecutor(workers, _Context(), _start)


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - multiprocessing's name
        _starting.ours = True
        try:
            return SpawnProcess._Popen(process_obj)
        finally:
            _starting.ours = False


class _Context(SpawnContext):
    """Spawned processes without the main module.

    Python would import it in each process. A script that is not guarded by `__name__ ==
    "__main__"` would run again there, start processes of its own and die, and this process would
    wait for ever. Beam's `sdk_worker_main` costs a second of CPU and 200 MB.
    """

    Process = _Process


# Set in the thread that starts one of our processes.
_starting = threading.local()
_with_main = spawn.get_preparation_data


def _preparation_data(name: str) -> dict[str, Any]:
    """What a spawned process is told of this one; ours are not told its main module."""
    data: dict[str, Any] = dict(_with_main(name))
    if getattr(_starting, "ours", False):
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
    return data


spawn.get_preparation_data = _preparation_data


_executors: dict[int, ProcessPoolExecutor] = {}
_lock = threading.Lock()


def shared(workers: int) -> ProcessPoolExecutor:
    """The one executor of this process: a runner makes many DoFns, but cores are few."""
    with _lock:
        if workers not in _executors:
            _executors[workers] = executor(workers)
        return _executors[workers]


def submit(workers: int, function: Callable[..., _Result], *arguments: Any) -> Future[_Result]:
    """Calls a function in the shared processes; in new ones if one was killed since the last call.

    Callers that wait for an earlier call get an error about the kill. This call can still succeed,
    and so can a bundle that a runner retries in this process.

    Raises:
        RunError: a new process was killed too.
    """
    pool = shared(workers)
    try:
        return pool.submit(function, *arguments)
    except BrokenProcessPool:
        with _lock:
            if _executors.get(workers) is pool:
                del _executors[workers]
    with reporting_kills():
        return shared(workers).submit(function, *arguments)


@contextmanager
def reporting_kills() -> Iterator[None]:
    """Raises a RunError if a worker process is killed while a block waits for it.

    Raises:
        RunError: a worker process was killed.
    """
    try:
        yield
    except BrokenProcessPool:
        raise RunError(
            "All `workers` must live to the end, but one was killed, perhaps for want of "
            "memory; give fewer `workers` and run the command again."
        ) from None


class Calls(Generic[_Result]):
    """Calls in worker processes, with results in the order of the calls.

    Args:
        workers: number of processes; with 1, this process runs the calls itself.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pending: deque[Future[_Result]] = deque()

    def call(self, function: Callable[..., _Result], *arguments: Any) -> Iterator[_Result]:
        """Submits a call; yields results of earlier calls once enough calls are pending.

        Raises:
            RunError: a process was killed.
        """
        if self._workers == 1:
            yield function(*arguments)
            return
        yield from self.wait_for(submit(self._workers, function, *arguments))

    def wait_for(self, future: Future[_Result]) -> Iterator[_Result]:
        """Like `call`, for a call that was already submitted."""
        self._pending.append(future)
        while len(self._pending) > AHEAD * self._workers:
            yield self._next()

    def rest(self) -> Iterator[_Result]:
        """The results of all pending calls."""
        while self._pending:
            yield self._next()

    def _next(self) -> _Result:
        with reporting_kills():
            return self._pending.popleft().result()


def _start() -> None:
    # The parent process gets the signal too, and shuts the pool down.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process with its parent, so that it cannot write beside a later run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

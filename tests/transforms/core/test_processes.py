import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

import pytest

from facemill.transforms.core import processes
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.processes import Calls

_PARENT = """
import os, sys, time
from facemill.transforms.core import processes
if __name__ == "__main__":
    pool = processes.executor(2)
    found = {pool.submit(os.getpid).result() for _ in range(20)}
    print(*found, flush=True)
    pool.submit(time.sleep, 600)
    time.sleep(600)
"""


# Without `if __name__ == "__main__"`.
_UNGUARDED = """
from facemill.transforms.core import processes
print(processes.submit(2, len, "abc").result(), flush=True)
"""


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_script_that_is_not_guarded_is_not_run_again_in_its_workers(tmp_path):
    (tmp_path / "script.py").write_text(_UNGUARDED)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("3\n", "", 0)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(_PARENT)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert workers
        assert all(map(is_running, workers))
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 60
        while any(map(is_running, workers)):
            assert time.monotonic() < deadline, "a worker still runs without its parent"
            time.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.stdout.close()


@pytest.mark.slow
def test_workers_ignore_an_interrupt():
    with processes.executor(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
        assert pool.submit(os.getpid).result() != os.getpid()


def test_callers_with_equal_numbers_of_workers_share_an_executor():
    assert processes.shared(2) is processes.shared(2)
    assert processes.shared(2) is not processes.shared(3)


@pytest.mark.slow
def test_results_come_in_the_order_of_the_calls():
    calls: Calls[float] = Calls(2)
    found = []
    # The first takes longest, and is waited for.
    for seconds in (0.5, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0):
        found.append(list(calls.call(_slept, seconds)))
    # Four calls may wait for their results.
    assert list(map(len, found)) == [0, 0, 0, 0, 1, 1, 1]
    slept = [one for some in found for one in some] + list(calls.rest())
    assert slept == [0.5, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0]


def _slept(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_with_one_worker_calls_run_in_this_process():
    calls: Calls[int] = Calls(1)
    assert list(calls.call(os.getpid)) == [os.getpid()]
    assert list(calls.rest()) == []


def test_a_killed_worker_is_reported_in_a_sentence():
    calls: Calls[int] = Calls(2)
    killed: Future[int] = Future()
    killed.set_exception(BrokenProcessPool("one is gone"))
    assert list(calls.wait_for(killed)) == []
    with pytest.raises(RunError, match=r"All `workers` must live to the end.*fewer `workers`"):
        list(calls.rest())


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_calls_after_a_kill_run_in_new_workers():
    calls: Calls[None] = Calls(2)
    list(calls.call(_killed))
    with pytest.raises(RunError, match="All `workers` must live"):
        list(calls.rest())
    again: Calls[int] = Calls(2)
    assert list(again.call(os.getpid)) == []
    assert next(again.rest()) != os.getpid()


@pytest.mark.slow
def test_a_kill_between_calls_does_not_fail_the_next_call():
    pool = processes.shared(2)
    with suppress(BrokenProcessPool):
        pool.submit(_killed).result()
    assert processes.submit(2, abs, -1).result() == 1
    assert processes.shared(2) is not pool

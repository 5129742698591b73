"""Killing a command, and checking that no process of it is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Any

_SECONDS = 120

# A command that kills itself when it is about to rename a file to the name in the first argument.
_SUICIDAL = """
import os, signal, sys
name, replace = sys.argv[1], os.replace
def replaced(source, target, **more):
    if os.path.basename(target) == name:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(source, target, **more)
os.replace = replaced
from facemill.pipelines import cli
sys.exit(cli.main(sys.argv[2:]))
"""


def run_until(condition: Callable[[], Any], *arguments: Any) -> None:
    """Runs `facemill` and kills it as soon as the condition holds; no process may be left."""
    command = [sys.executable, "-m", "facemill.pipelines.cli", *map(str, arguments)]
    with _started(command) as process:
        deadline = time.monotonic() + _SECONDS
        while not condition():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline, f"nothing to see after {_SECONDS} s"
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        _assert_gone(process.pid)


def run_until_renamed(name: str, *arguments: Any) -> None:
    """Runs `facemill` up to where a file would get its final name, and kills it there."""
    with _started([sys.executable, "-c", _SUICIDAL, name, *map(str, arguments)]) as process:
        assert process.wait(_SECONDS) == -signal.SIGKILL
        _assert_gone(process.pid)


@contextmanager
def _started(command: list[str]):
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _assert_gone(group: int) -> None:
    """Waits for all processes to end: workers may notice the launcher's death a moment later."""
    deadline = time.monotonic() + _SECONDS
    while _lives(group):
        assert time.monotonic() < deadline, f"a process of group {group} lives on"
        time.sleep(0.05)


def _lives(group: int) -> bool:
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as stream:
                state, _, its_group = stream.read().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        # A zombie only waits to be reaped.
        if int(its_group) == group and state != "Z":
            return True
    return False


def killed_after(seconds: float, *arguments: Any) -> bool:
    """Runs `facemill` and kills it after some seconds; False if it has ended before, well."""
    with _started(
        [sys.executable, "-m", "facemill.pipelines.cli", *map(str, arguments)]
    ) as process:
        try:
            assert process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            assert process.wait() == -signal.SIGKILL
            _assert_gone(process.pid)
            return True
        return False

"""What a command costs: wall time, CPU time of all its processes, memory; from /proc, so Linux."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SECONDS = 0.25


@dataclass(frozen=True)
class Usage:
    """Of one command and everything it started.

    Attributes:
        wall: seconds from start to end of the whole process, imports included.
        cpu: seconds, user and system.
        tree: largest sum of the resident sets of all processes at one time, in bytes; pages that
            they share count once for each.
        largest: largest resident set of a single process, in bytes.
        watched: largest value of what was watched.
        output: what it printed.
    """

    wall: float
    cpu: float
    tree: int
    largest: int
    watched: int
    output: str


def run(
    command: Sequence[str],
    watch: Callable[[], int] | None = None,
    environment: dict[str, str] | None = None,
) -> Usage:
    """Runs a command to its end.

    Args:
        command: program and arguments.
        watch: called several times a second; the largest value is kept.
        environment: variables that are added.

    Raises:
        SystemExit: it failed; what it printed is shown.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env={**os.environ, **(environment or {})}
        )
        # A thread samples while this one waits, so that the wall time is exact.
        samples = [(0, 0, 0)]
        done = threading.Event()
        sampler = threading.Thread(target=_sample, args=(process.pid, watch, samples, done))
        sampler.start()
        code = process.wait()
        wall = time.monotonic() - started
        done.set()
        sampler.join()
        output.seek(0)
        errors.seek(0)
        if code:
            raise SystemExit(f"{' '.join(command)}\n{errors.read()[-4000:]}\nended with {code}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        tree, largest, watched = (max(values) for values in zip(*samples, strict=True))
        return Usage(wall, cpu, tree, largest, watched, output.read())


def folder_bytes(path: str) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total


def _sample(
    pid: int,
    watch: Callable[[], int] | None,
    samples: list[tuple[int, int, int]],
    done: threading.Event,
) -> None:
    while not done.wait(_SECONDS):
        sizes = [_resident(one) for one in _descendants(pid)]
        samples.append((sum(sizes), max(sizes, default=0), watch() if watch else 0))


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children") as stream:
                    found += [int(child) for child in stream.read().split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as stream:
            return int(stream.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0

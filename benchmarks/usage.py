"""Wall time, CPU time and memory of a command and all its processes; reads /proc, so Linux only."""

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
        wall: seconds from start to end of the command, imports included.
        cpu: seconds, user and system, of all processes.
        tree: largest sum of the resident sets of all processes at one time, in bytes; a shared page
            counts once for each process.
        largest: largest resident set of a single process, in bytes.
        watched: largest value that `watch` returned, 0 without it.
        output: what the command printed to stdout.
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
        environment: variables to add to those of this process.

    Raises:
        SystemExit: the command failed; the message has the end of its stderr.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env={**os.environ, **(environment or {})}
        )
        # Another thread samples while this one waits, so that the wall time is exact.
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
    """Bytes of all files below a folder; files that vanish during the walk are skipped."""
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

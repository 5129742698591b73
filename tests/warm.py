"""Processes that have imported what commands import, so that a test's command starts at once.

A command of facemill imports TensorFlow and Beam for three to five seconds of CPU, and tests run
more than a hundred. Python's fork server imports them once for each of pytest's workers; a command
is a copy of it, with an environment, a folder and output streams of its own. What such a copy
cannot show, tests see by processes that start cold: what is imported when, what an import prints
and which variables it reads.
"""

import contextlib
import functools
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

PRELOADED = ("tests.warm_imports",)


@functools.cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def run(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float
) -> subprocess.CompletedProcess:
    """Runs `facemill` in a copy of a process that has imported it.

    Args:
        arguments: the command and its flags.
        environment: all variables of the process.
        folder: empty; its output is written there.
        timeout: seconds.

    Raises:
        subprocess.TimeoutExpired: the command took longer; it was killed.
    """
    streams = [str(folder / name) for name in ("stdout", "stderr")]
    given = (list(arguments), dict(environment), os.getcwd(), *streams)
    process = _context().Process(target=_command, args=given)
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        raise subprocess.TimeoutExpired(list(arguments), timeout)
    texts = [Path(path).read_text("utf-8", errors="replace") for path in streams]
    return subprocess.CompletedProcess(list(arguments), process.exitcode, *texts)


def _command(
    arguments: list[str], environment: dict[str, str], cwd: str, stdout: str, stderr: str
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for path, number in ((stdout, 1), (stderr, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
        os.close(file)
    # The package's own folder is found wherever the command is started.
    from facemill.pipelines import cli

    sys.argv = ["facemill", *arguments]
    with contextlib.suppress(BrokenPipeError):
        code = cli.main(arguments)
    sys.exit(code)

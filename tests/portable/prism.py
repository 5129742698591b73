"""Prism, Beam's portable runner, with a pool of workers in another process."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

# Prism keeps everything in memory. The limit keeps a runaway graph from using up the machine's.
_MEMORY = 8 << 30
_SECONDS_TO_START = 60


@contextmanager
def serving(binary: Path, folder: Path) -> Iterator[list[str]]:
    """Runs a server and a pool; yields the flags that submit a job to them."""
    job_port, web_port, pool_port = _free_ports(3)
    with ExitStack() as stack:
        pool_log = stack.enter_context((folder / "pool.log").open("wb"))
        server_log = stack.enter_context((folder / "prism.log").open("wb"))
        path = f"{_quiet_python(folder)}:{os.environ['PATH']}"
        pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
        stack.enter_context(
            _process([*pool, f"--service_port={pool_port}"], pool_log, {"PATH": path})
        )
        _wait_for(pool_port)
        server = [str(binary), f"-job_port={job_port}", f"-web_port={web_port}"]
        stack.enter_context(_process([*server, "-serve_http=false"], server_log, {}))
        _wait_for(job_port)
        yield [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{job_port}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{pool_port}",
            "--experiments=disable_logging_submission_environment",
        ]


def _quiet_python(folder: Path) -> Path:
    """A folder with a `python` that writes to stderr only. The pool never reads a worker's stdout,
    so a worker that filled that pipe would hang for ever."""
    wrapper = folder / "bin" / "python"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" 1>&2\n')
    wrapper.chmod(0o755)
    return wrapper.parent


@contextmanager
def _process(command: list[str], log, environment: dict[str, str]) -> Iterator[None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))

    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        start_new_session=True,
        preexec_fn=limit,
    )
    try:
        yield
    finally:
        # The workers are the pool's children and outlive it unless the process group is killed.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port} after {_SECONDS_TO_START} s")

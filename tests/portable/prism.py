"""Prism, Beam's portable runner, with a pool of workers in another process."""

import fcntl
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import apache_beam

_MODULE = "github.com/apache/beam/sdks/v2/go/cmd/prism"
# Prism keeps everything in memory. The limit keeps a runaway graph from using up the machine's.
_MEMORY = 8 << 30
_SECONDS_TO_START = 60


class UnavailableError(Exception):
    """Prism cannot be had on this machine."""


def install(folder: Path) -> Path:
    """The runner of the same version as the Python SDK, built into `folder` if it is not there.

    Raises:
        UnavailableError: there is no Go, or it cannot fetch the runner's source.
    """
    binary = folder / f"prism-{apache_beam.__version__}"
    folder.mkdir(parents=True, exist_ok=True)
    # Tests may run in several processes: one of them builds, the others wait for it.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            _build(folder, binary)
    return binary


def _build(folder: Path, binary: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise UnavailableError("Go is needed to build the Prism runner, and is not installed")
    target = folder / "build"
    target.mkdir(parents=True, exist_ok=True)
    built = subprocess.run(
        [go, "install", f"{_MODULE}@v{apache_beam.__version__}"],
        env={**os.environ, "GOBIN": str(target), "GOFLAGS": "-mod=mod"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if built.returncode != 0:
        raise UnavailableError(f"Go could not build Prism: {built.stderr.strip()[-300:]}")
    os.replace(target / "prism", binary)


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

"""Builds Prism, Beam's portable runner, from the source of Beam's Go SDK.

    python -m tests.portable.prism_build VERSION FOLDER

Go compiles some 640 packages for it, so `.ci/run` has it built while Python's packages are
installed; tests that need it build it themselves if it is not there. It needs the standard library
alone.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

_MODULE = "github.com/apache/beam/sdks/v2/go/cmd/prism"
# Compiled without optimizations and C, without what debuggers, gRPC's tracing and the gRPC client
# of Google's store need, and with less collecting of garbage: that takes half of the time, and in
# tests Prism does little.
_TAGS = "grpcnotrace,disable_grpc_modules"
_FAST = ["-gcflags=all=-N -l -dwarf=false", "-ldflags=-s -w", f"-tags={_TAGS}"]
_VARIABLES = {"GOFLAGS": "-mod=mod", "CGO_ENABLED": "0", "GOGC": "400"}


class UnavailableError(Exception):
    """Prism cannot be had on this machine."""


def install(folder: Path, version: str) -> Path:
    """The runner, built into `folder` if it is not there.

    Args:
        folder: is made if it is missing.
        version: of Beam, such as "2.77.0".

    Raises:
        UnavailableError: there is no Go, or it cannot fetch the runner's source.
    """
    binary = folder / f"prism-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    # Tests may run in several processes: one of them builds, the others wait for it.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            _build(folder, binary, version)
    return binary


def _build(folder: Path, binary: Path, version: str) -> None:
    go = shutil.which("go")
    if go is None:
        raise UnavailableError("Go is needed to build the Prism runner, and is not installed")
    target = (folder / "build").resolve()
    target.mkdir(parents=True, exist_ok=True)
    built = subprocess.run(
        [go, "install", *_FAST, f"{_MODULE}@v{version}"],
        env={**os.environ, **_VARIABLES, "GOBIN": str(target)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if built.returncode != 0:
        raise UnavailableError(f"Go could not build Prism: {built.stderr.strip()[-300:]}")
    os.replace(target / "prism", binary)


if __name__ == "__main__":
    try:
        print(install(Path(sys.argv[2]), sys.argv[1]))
    except UnavailableError as error:
        # The tests say so again, and fail where they must not be skipped.
        print(error, file=sys.stderr)

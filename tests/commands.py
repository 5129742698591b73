"""Running the command line as a person does: in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def facemill(
    *arguments: Any,
    code: int = 0,
    timeout: float = 300,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess:
    """Runs `facemill` and checks its exit code, and that it shows no traceback.

    Args:
        arguments: the command and its flags.
        code: the exit code that it must have.
        timeout: seconds.
        environment: variables beside those of this process.
    """
    done = subprocess.run(
        [sys.executable, "-m", "facemill.pipelines.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done

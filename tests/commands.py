"""Running the command line as a person does: in a process of its own."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import warm


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
    with tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, **(environment or {})}
        done = warm.run(list(map(str, arguments)), variables, Path(folder), timeout)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done

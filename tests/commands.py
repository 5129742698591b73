"""Running the command line as a person does: in a process of its own."""

import subprocess
import sys
from typing import Any


def facemill(*arguments: Any, code: int = 0, timeout: float = 120) -> subprocess.CompletedProcess:
    """Runs `facemill` and checks its exit code, and that it shows no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "facemill.pipelines.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done

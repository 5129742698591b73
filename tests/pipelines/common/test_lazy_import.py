"""Importing a job quietly; each in a process of its own, whose stderr is redirected for it."""

import subprocess
import sys

PROGRAM = """
import gc, os, sys
from facemill.pipelines.common.lazy_import import import_quietly
try:
    print(import_quietly("chatty").VALUE)
except Exception as error:
    print("failed:", error)
print("collector:", gc.isenabled())
os.write(2, b"afterwards\\n")
"""


def imported(folder, source: str) -> subprocess.CompletedProcess:
    """Runs PROGRAM where the module `chatty` has that source."""
    (folder / "chatty.py").write_text(source)
    code = f"import sys; sys.path.insert(0, {str(folder)!r}){PROGRAM}"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )


# What native code writes goes to the file descriptor, past sys.stderr.
CHATTER = "import os\nos.write(2, b'no accelerator was found\\n')\n"


def test_chatter_of_an_import_that_succeeds_is_held_back(tmp_path):
    done = imported(tmp_path, CHATTER + "VALUE = 7")
    assert done.stdout.splitlines() == ["7", "collector: True"]
    assert done.stderr == "afterwards\n"


def test_chatter_of_an_import_that_fails_is_shown(tmp_path):
    done = imported(tmp_path, CHATTER + "raise ImportError('a library is missing')")
    assert done.stdout.splitlines() == ["failed: a library is missing", "collector: True"]
    assert done.stderr == "no accelerator was found\nafterwards\n"

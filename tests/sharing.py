"""What several pytest workers share: made by the first that asks, read by all."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the test run: each worker of pytest-xdist has one below it."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(root: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `root/shared/name`, with what `make` writes into it.

    The first caller makes it while the others wait. Where `make` fails, the next caller tries
    again from nothing.

    Args:
        root: a folder that all callers see, from `run_folder`.
        name: of what is made.
        make: gets the folder, which exists and is empty.
    """
    folder, done = root / "shared" / name, root / "shared" / f"{name}.done"
    folder.parent.mkdir(exist_ok=True)
    with open(root / "shared" / f"{name}.lock", "w") as lock:
        # The kernel drops the lock when its holder ends, in whatever way.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder

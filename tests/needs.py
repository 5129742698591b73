"""What some tests need from outside: skipped where it cannot be had, but a failure in CI."""

import os
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Ends a test that cannot run here: skips it, or fails it where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def data() -> Path:
    """The folder that $FACEMILL_DATA names, which holds `lfw/`."""
    root = os.environ.get("FACEMILL_DATA")
    if not root or not (Path(root) / "lfw" / "pairs.txt").is_file():
        missing(f"FACEMILL_DATA must name the folder that holds lfw/, got {root or 'nothing'}")
    return Path(root)


def file(path: Path) -> Path:
    """A file that must be there."""
    if not path.is_file():
        missing(f"{path} is absent")
    return path

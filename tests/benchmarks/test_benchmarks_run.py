"""Each benchmark runs to its end and prints its figures; what they are is not a test's business."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def printed(*command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "FACEMILL_DATA"}
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ingest_against_the_bare_limit(tmp_path):
    told = printed("benchmarks.ingest", "--folder", str(tmp_path), "--images", "40")
    assert "than bare limit" in told


def test_scale(tmp_path):
    told = printed("benchmarks.scale", "40", "80", "--folder", str(tmp_path))
    assert "80 against 40: CPU per image" in told


@pytest.mark.parametrize("name", ["duplicates", "detectors"])
def test_those_that_need_photos_can_be_loaded(name):
    assert "--help" in printed(f"benchmarks.{name}", "--help")

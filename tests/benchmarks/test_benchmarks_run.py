"""Each benchmark runs to its end and prints its figures, whose values are not tested."""

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


@pytest.mark.long
def test_the_ingest_benchmark_prints_a_ratio_to_the_bare_limit(tmp_path):
    output = printed("benchmarks.ingest", "--folder", str(tmp_path), "--images", "40")
    assert "than bare limit" in output


@pytest.mark.long
def test_the_scale_benchmark_prints_a_ratio_of_sizes(tmp_path):
    output = printed("benchmarks.scale", "40", "80", "--folder", str(tmp_path))
    assert "80 against 40: CPU per image" in output


@pytest.mark.parametrize("name", ["duplicates", "detectors", "heads", "match"])
def test_benchmarks_that_need_photos_or_minutes_print_their_help(name):
    assert "--help" in printed(f"benchmarks.{name}", "--help")

"""Workers that the boot command of deploy/flink starts, on a portable runner."""

import json
import sys

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tests.deploy.flink import FOLDER  # isort: skip - makes boot importable
import boot

pytestmark = pytest.mark.portable


def test_a_job_runs_in_workers_that_it_starts(prism_flags, tmp_path):
    """Prism starts a process by the same two arguments as Flink."""
    command = tmp_path / "boot"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FOLDER / "boot.py"}" "$@"\n')
    command.chmod(0o755)
    flags = [one for one in prism_flags if "environment_" not in one]
    config = {"command": str(command), "env": {boot.LOG_FOLDER: str(tmp_path / "log")}}
    flags += ["--environment_type=PROCESS", f"--environment_config={json.dumps(config)}"]
    with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        _ = (
            pipeline
            | beam.Create([("a", 1), ("b", 2), ("a", 3)])
            | beam.CombinePerKey(sum)
            | beam.MapTuple("{}{}".format)
            | beam.io.WriteToText(str(tmp_path / "sums"), shard_name_template="")
        )
    assert sorted((tmp_path / "sums").read_text().split()) == ["a4", "b2"]
    assert len(list((tmp_path / "log").glob("worker-*.log"))) == 1

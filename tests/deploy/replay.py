"""Runs a staged graph, as a worker that knows nothing of the launcher: replay.py PIPELINE_PB."""

import sys
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner


def main(path: str) -> int:
    """Runs the graph; returns 0 if it ended well."""
    graph = beam_runner_api_pb2.Pipeline.FromString(Path(path).read_bytes())
    for environment in graph.components.environments.values():
        # The container is the one thing that cannot be had here.
        environment.urn = "beam:env:embedded_python:v1"
        environment.payload = b""
    result = FnApiRunner().run_via_runner_api(graph, PipelineOptions([]))
    return 0 if result.wait_until_finish() == "DONE" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

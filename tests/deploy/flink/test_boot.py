"""The program that starts a Python worker."""

import os
import subprocess
import sys
import time

from apache_beam.portability.api import (
    beam_provision_api_pb2,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import text_format

from tests.deploy.flink import FOLDER  # isort: skip - makes boot importable
import boot


def provision_info() -> beam_provision_api_pb2.ProvisionInfo:
    """As a runner answers."""
    info = beam_provision_api_pb2.ProvisionInfo(
        control_endpoint={"url": "localhost:1"},
        logging_endpoint={"url": "localhost:2"},
        runner_capabilities=["one", "two"],
    )
    info.pipeline_options.update(
        {
            "beam:option:max_cache_memory_usage_mb:v1": 100,
            "beam:option:experiments:v1": ["a=b"],
            "beam:option:job_name:v1": "facemill-x",
        }
    )
    return info


def test_the_worker_reads_what_the_runner_says():
    given = boot.environment(provision_info(), "1-1")
    assert given["WORKER_ID"] == "1-1"
    assert given["RUNNER_CAPABILITIES"] == "one two"
    assert "STATUS_API_SERVICE_DESCRIPTOR" not in given
    control = endpoints_pb2.ApiServiceDescriptor()
    text_format.Merge(given["CONTROL_API_SERVICE_DESCRIPTOR"], control)
    assert control.url == "localhost:1"
    # Beam's own reader of options: a float here fails in it.
    options = sdk_worker_main._parse_pipeline_options(given["PIPELINE_OPTIONS"])
    assert sdk_worker_main._get_state_cache_size_bytes(options) == 100 << 20
    assert "100.0" not in given["PIPELINE_OPTIONS"]


def test_staged_packages_that_are_not_installed_are_named():
    info = provision_info()
    for name in ("submission_environment_dependencies.txt", "extra.whl"):
        role = beam_runner_api_pb2.ArtifactStagingToRolePayload(staged_name=name)
        info.dependencies.add(role_payload=role.SerializeToString())
    assert boot.not_installed(info) == ["extra.whl"]


def test_a_worker_ends_with_the_process_that_started_it(tmp_path):
    """A runner that is killed closes nothing; its worker must not wait for it."""
    # Nothing answers at the endpoint, so the worker waits for its provision service.
    worker = [
        sys.executable,
        str(FOLDER / "boot.py"),
        "--id=1-1",
        "--provision_endpoint=localhost:9",
    ]
    code = f"import subprocess; print(subprocess.Popen({worker!r}).pid, flush=True); input()"
    environment = {**os.environ, boot.LOG_FOLDER: str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as runner:
        pid = int(runner.stdout.readline())
        deadline = time.monotonic() + 60
        # Its log is there when it has begun to wait.
        while not list(tmp_path.glob("worker-1-1-of-*.log")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        runner.kill()
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False

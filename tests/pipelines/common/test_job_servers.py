"""What the job servers need that Beam's runners start by themselves."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.utils.subprocess_server import JavaJarServer

from facemill.pipelines.common import job_servers
from facemill.transforms.core.errors import UsageError
from tests.pipelines.common import fakes


def refusal(runner: str, *flags: str) -> str:
    with pytest.raises(UsageError) as refused:
        job_servers.check_job_server(runner, PipelineOptions(list(flags)))
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def java(tmp_path, monkeypatch):
    """A FakeJava that can be found, and no jar in Beam's cache."""
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(JavaJarServer, "JAR_CACHE", str(tmp_path))
    return tmp_path


def test_a_flink_runner_without_java_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert refusal("FlinkRunner").startswith("FlinkRunner must have Java for its job server")


def test_a_flink_runner_without_its_job_server_is_refused(java):
    with fakes.http_server(lambda method, path: None) as address:
        url = f"http://{address}/beam-job-server.jar"
        message = refusal("FlinkRunner", f"--flink_job_server_jar={url}", "--flink_version=1.20")
        assert message.startswith(
            "FlinkRunner must have Beam's job server for Flink 1.20, but it cannot be had (HTTP "
            f"404 Not Found from {url}); give its file as --flink_job_server_jar, or "
        )
        (java / "beam-job-server.jar").write_bytes(b"")
        options = PipelineOptions([f"--flink_job_server_jar={url}"])
        job_servers.check_job_server("apache_beam.runners.FlinkRunner", options)


def test_a_flink_runner_with_its_jar_is_accepted(java):
    jar = java / "server.jar"
    jar.write_bytes(b"")
    job_servers.check_job_server("FlinkRunner", PipelineOptions([f"--flink_job_server_jar={jar}"]))
    assert "but it cannot be had" in refusal("FlinkRunner", "--flink_job_server_jar=/absent.jar")


def test_a_spark_runner_without_its_job_server_is_refused(java):
    assert refusal("SparkRunner", "--spark_job_server_jar=/absent.jar").startswith(
        "SparkRunner must have Beam's job server for Spark 3, but it cannot be had ("
    )
    (java / "server.jar").write_bytes(b"")
    given = PipelineOptions([f"--spark_job_server_jar={java / 'server.jar'}"])
    job_servers.check_job_server("SparkRunner", given)


def test_a_spark_master_that_does_not_answer_is_refused():
    master = f"spark://localhost:{fakes.closed_port()}"
    assert refusal("SparkRunner", f"--spark_master_url={master}").startswith(
        f"--spark_master_url must be where a Spark master listens, got {master} ("
    )


def test_a_prism_runner_without_prism_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(PrismJobServer, "BIN_CACHE", str(tmp_path))
    with fakes.http_server(lambda method, path: None) as address:
        said = refusal("PrismRunner", f"--prism_location=http://{address}/prism.zip")
        assert said.startswith("PrismRunner must have Beam's program Prism, but it cannot be had (")
        assert "give its file as --prism_location, or start" in said
    (tmp_path / "prism").write_bytes(b"")
    given = PipelineOptions([f"--prism_location={tmp_path / 'prism'}"])
    job_servers.check_job_server("PrismRunner", given)


@pytest.mark.parametrize("runner", ["FlinkRunner", "SparkRunner", "PrismRunner"])
def test_a_job_server_that_runs_already_needs_nothing(runner, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    job_servers.check_job_server(runner, PipelineOptions(["--job_endpoint=localhost:1"]))

"""Flink's REST API, and what a FlinkRunner needs."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.subprocess_server import JavaJarServer

from facemill.pipelines.common import flink
from facemill.transforms.core.errors import UsageError
from tests.pipelines.common import fakes


@pytest.fixture
def rest() -> fakes.FakeFlinkRest:
    fake = fakes.FakeFlinkRest()
    fake.jobs = {("a1", "ours"): "RUNNING", ("b2", "old"): "FINISHED", ("c3", "new"): "CREATED"}
    return fake


def refusal(runner: str, *flags: str) -> str:
    with pytest.raises(UsageError) as refused:
        flink.check_flink(runner, PipelineOptions(list(flags)))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_jobs_that_have_not_ended_are_listed(rest):
    with rest.serving() as address:
        found = flink.running(flink.FlinkRest(f"http://{address}/"))
    assert found == [flink.FlinkJob("a1", "ours"), flink.FlinkJob("c3", "new")]


def test_a_job_is_canceled_by_its_id(rest):
    with rest.serving() as address:
        flink.FlinkRest(f"http://{address}").cancel(flink.FlinkJob("a1", "ours"))
    assert rest.requests == ["PATCH /jobs/a1?mode=cancel"]


@pytest.mark.parametrize("flags", [[], ["--flink_master=[local]"], ["--flink_master=[auto]"]])
def test_a_cluster_without_an_address_has_no_rest_api(flags):
    assert flink.rest_of(PipelineOptions(flags)) is None


@pytest.mark.parametrize("address", ["node1:8081", "http://node1:8081", "http://node1:8081/"])
def test_the_address_of_a_cluster_may_have_a_scheme(address):
    rest = flink.rest_of(PipelineOptions([f"--flink_master={address}"]))
    assert rest is not None
    assert rest.how_to_cancel("a1") == "curl -X PATCH 'http://node1:8081/jobs/a1?mode=cancel'"


def test_a_cluster_that_answers_is_accepted(rest):
    with rest.serving() as address:
        flags = [f"--flink_master={address}", "--job_endpoint=localhost:1"]
        flink.check_flink("PortableRunner", PipelineOptions(flags))
        flink.check_flink("FlinkRunner", PipelineOptions(flags))
    assert rest.requests == ["GET /jobs/overview"] * 2


def test_a_cluster_that_does_not_answer_is_refused():
    address = f"localhost:{fakes.closed_port()}"
    message = refusal("PortableRunner", f"--flink_master={address}")
    assert message.startswith(
        f"--flink_master must be where Flink's REST API listens, got http://{address} ("
    )
    assert message.endswith("refused); start the cluster or mend the address.")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"<html></html>", "(what answers there is not Flink)"),
        (b"[]", "(what answers there is not Flink)"),
        (b'{"jobs": [{"id": 1}]}', "(what answers there is not Flink)"),
        (None, "(HTTP 404 Not Found from http://localhost:"),
    ],
)
def test_something_else_is_no_cluster(answer, reason):
    with fakes.http_server(lambda method, path: answer) as address:
        assert reason in refusal("PortableRunner", f"--flink_master={address}")


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
            f"404 Not Found from {url}); give its jar as --flink_job_server_jar, or "
        )
        (java / "beam-job-server.jar").write_bytes(b"")
        options = PipelineOptions([f"--flink_job_server_jar={url}"])
        flink.check_flink("apache_beam.runners.FlinkRunner", options)


def test_a_flink_runner_with_its_jar_is_accepted(java):
    jar = java / "server.jar"
    jar.write_bytes(b"")
    flink.check_flink("FlinkRunner", PipelineOptions([f"--flink_job_server_jar={jar}"]))
    assert "but it cannot be had" in refusal("FlinkRunner", "--flink_job_server_jar=/absent.jar")

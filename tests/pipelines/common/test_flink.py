"""Flink's REST API, and what is checked of a cluster."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

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


def _flink(version: str):
    answers = {"/jobs/overview": b'{"jobs": []}'}
    answers["/overview"] = b'{"flink-version": "%s"}' % version.encode()
    return fakes.http_server(lambda method, path: answers.get(path))


def test_a_job_server_for_another_flink_is_refused():
    with _flink("1.20.5") as address:
        assert refusal("FlinkRunner", f"--flink_master={address}", "--flink_version=2.0") == (
            "--flink_version must be that of the cluster, which is 1.20.5 at "
            f"http://{address}, got 2.0; give --flink_version=1.20."
        )


@pytest.mark.parametrize(
    "more", [["--flink_version=1.20"], ["--job_endpoint=a:1"], ["--flink_job_server_jar=x.jar"]]
)
def test_a_job_server_that_may_be_of_the_clusters_version_is_accepted(more):
    with _flink("1.20.5") as address:
        flink.check_flink("FlinkRunner", PipelineOptions([f"--flink_master={address}", *more]))

"""What is said of job servers and worker pools that do not answer."""

import socket

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from facemill.pipelines.common import endpoints
from facemill.transforms.core.errors import UsageError
from tests.pipelines.common import fakes


def check(endpoint: str | None = None, pool: str | None = None) -> None:
    flags = [] if endpoint is None else [f"--job_endpoint={endpoint}"]
    if pool is not None:
        flags += ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
    endpoints.check_endpoints("FlinkRunner", PipelineOptions(flags))


def refusal(**addresses: str) -> str:
    with pytest.raises(UsageError) as refused:
        check(**addresses)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_job_server_and_a_pool_that_answer_are_accepted(capsys):
    with fakes.job_server() as endpoint, fakes.pool() as pool:
        check(endpoint, pool)
        check(endpoint, '{"url": "' + pool + '"}')
    assert capsys.readouterr().err == ""


def test_a_portable_runner_needs_a_job_server():
    with pytest.raises(UsageError, match="listens for a PortableRunner, got none; give its"):
        endpoints.check_endpoints("PortableRunner", PipelineOptions([]))


def test_the_embedded_job_server_is_not_asked():
    check("embed")


def test_a_port_of_an_http_server_is_no_job_server():
    with fakes.http_server() as address:
        assert refusal(endpoint=address) == (
            f"--job_endpoint must be where a job server listens, got {address} (what listens there "
            "is no job server: UNAVAILABLE); mend the address."
        )


def test_the_port_of_a_worker_pool_is_no_job_server():
    with fakes.pool() as address:
        assert "is no job server: UNIMPLEMENTED" in refusal(endpoint=address)


def test_a_port_that_never_answers_is_no_job_server(monkeypatch):
    monkeypatch.setattr(endpoints, "_SECONDS_TO_ANSWER", 0.2)
    with socket.create_server(("localhost", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
        assert "is no job server: DEADLINE_EXCEEDED" in refusal(endpoint=address)


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":1", "localhost:http"])
def test_an_address_has_host_and_port(address):
    assert f"got {address} (an address is HOST:PORT); " in refusal(endpoint=address)


def test_a_missing_pool_beside_a_job_server_of_this_machine_is_refused():
    address = f"localhost:{fakes.closed_port()}"
    with fakes.job_server() as endpoint:
        message = refusal(endpoint=endpoint, pool=address)
    assert message.startswith(
        f"--environment_config must be where a worker pool listens, got {address} ("
    )
    assert message.endswith("refused); start the pool or mend the address.")


def test_a_missing_pool_on_another_host_is_refused(monkeypatch):
    def refuse(address, timeout):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert "got node7:50000 ([Errno 111] Connection refused)" in refusal(pool="node7:50000")


def test_a_pool_that_cannot_be_judged_from_here_is_a_note(monkeypatch, capsys):
    # The cluster's workers may each have a pool on their own machine.
    address = f"localhost:{fakes.closed_port()}"
    with fakes.job_server(["flink_master"]) as endpoint:
        check(endpoint, address)
    assert capsys.readouterr().err.startswith(
        f"facemill: the worker pool at {address} cannot be reached from here ("
    )

    def unknown(address, timeout):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    check(pool="pool.cluster:50000")
    assert "the worker pool at pool.cluster:50000 cannot be" in capsys.readouterr().err


def test_a_port_of_something_else_is_no_pool():
    with fakes.job_server() as endpoint:
        assert f"got {endpoint} (what listens there is no worker pool: UNIMPLEMENTED)" in refusal(
            endpoint=endpoint, pool=endpoint
        )


def test_only_external_environments_have_a_pool():
    options = PipelineOptions(["--environment_type=LOOPBACK", "--environment_config=localhost:1"])
    assert endpoints.pool_of(options) is None
    option = "--environment_option=external_service_address=node7:1"
    assert endpoints.pool_of(PipelineOptions(["--environment_type=EXTERNAL", option])) == "node7:1"


def test_a_job_server_of_a_cluster_is_known_by_its_options():
    with fakes.job_server(["flink_master"]) as cluster, fakes.job_server(["other"]) as other:
        assert endpoints.is_of_a_cluster(cluster)
        assert not endpoints.is_of_a_cluster(other)

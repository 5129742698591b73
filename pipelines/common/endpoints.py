"""Checks, before a job is submitted, that the job server and the worker pool answer."""

import ipaddress
import json
import socket
import sys
from collections.abc import Callable
from typing import Any

import grpc
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_job_api_pb2,
    beam_job_api_pb2_grpc,
)

from facemill.pipelines.common.local import bare_name
from facemill.transforms.core.errors import UsageError

# Beam itself waits forever for a job endpoint on which no server listens.
_SECONDS_TO_CONNECT = 4.0
_SECONDS_TO_ANSWER = 5.0

# Beam's name of a job server that runs in this process.
_EMBEDDED = "embed"
# Options that job servers of clusters have; their workers may be on other machines.
_OF_CLUSTERS = {"flink_master", "spark_master_url"}
# No pool has a worker of this name, so stopping it changes nothing.
_NO_WORKER = "facemill-checks-that-the-pool-answers"


def check_endpoints(runner: str, options: PipelineOptions) -> None:
    """Checks that the job server answers and, where that can be known here, the worker pool.

    Args:
        runner: name of the runner.
        options: of Beam.

    Raises:
        UsageError: an address is missing or is none, nothing listens there, or something else does.
    """
    portable = options.view_as(PortableOptions)
    endpoint, pool = portable.job_endpoint, pool_of(options)
    if bare_name(runner) == "PortableRunner" and not endpoint:
        raise UsageError(
            "--job_endpoint must be where a job server listens for a PortableRunner, got none; "
            "give its HOST:PORT."
        )
    offered: set[str] | None = None
    if endpoint and endpoint != _EMBEDDED:
        offered = _check_job_server(endpoint)
    if pool is not None:
        is_alone = offered is not None and not offered & _OF_CLUSTERS
        _check_pool(pool, must_be_here=is_alone and _is_loopback(endpoint))


def pool_of(options: PipelineOptions) -> str | None:
    """The address of the worker pool that the options name; None if they name none."""
    portable = options.view_as(PortableOptions)
    if (portable.environment_type or "").upper() != "EXTERNAL":
        return None
    config = portable.environment_config
    if not config:
        return portable.lookup_environment_option("external_service_address")
    if config.lstrip().startswith("{"):
        try:
            config = json.loads(config).get("url")
        except ValueError:
            # Beam reports it.
            return None
    return config


def is_of_a_cluster(endpoint: str) -> bool:
    """Whether a job server hands its jobs to a cluster, such as Flink.

    Raises:
        UsageError: no job server answers.
    """
    return bool(_check_job_server(endpoint) & _OF_CLUSTERS)


def _check_job_server(endpoint: str) -> set[str]:
    """The names of the options that the job server offers, as Beam asks for them first."""

    def wrong(reason: object, do: str) -> UsageError:
        return UsageError(
            f"--job_endpoint must be where a job server listens, got {endpoint} ({reason}); {do}."
        )

    error = refusal_of(endpoint)
    if error is not None:
        raise wrong(error, "start the server or mend the address")

    def ask(channel: grpc.Channel) -> Any:
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        return stub.DescribePipelineOptions(request, timeout=_SECONDS_TO_ANSWER)

    try:
        return {one.name for one in _call(endpoint, ask).options}
    except grpc.RpcError as failed:
        reason = f"what listens there is no job server: {_code(failed)}"
        raise wrong(reason, "mend the address") from None


def _check_pool(pool: str, must_be_here: bool) -> None:
    """Checks a worker pool.

    Args:
        pool: its address.
        must_be_here: whether its workers run on this machine, if its address is of this machine.
    """
    is_judged = must_be_here or not _is_loopback(pool)
    error = refusal_of(pool)
    if error is None:
        if is_judged:
            _check_answers_as_pool(pool)
    elif is_judged and isinstance(error, ConnectionRefusedError | ValueError):
        raise UsageError(
            f"--environment_config must be where a worker pool listens, got {pool} ({error}); "
            "start the pool or mend the address."
        )
    else:
        print(
            f"facemill: the worker pool at {pool} cannot be reached from here ({error}); the job "
            "fails or waits if the workers' machines cannot reach it either.",
            file=sys.stderr,
        )


def _check_answers_as_pool(pool: str) -> None:
    def ask(channel: grpc.Channel) -> Any:
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        request = beam_fn_api_pb2.StopWorkerRequest(worker_id=_NO_WORKER)
        return stub.StopWorker(request, timeout=_SECONDS_TO_ANSWER)

    try:
        _call(pool, ask)
    except grpc.RpcError as failed:
        raise UsageError(
            f"--environment_config must be where a worker pool listens, got {pool} (what listens "
            f"there is no worker pool: {_code(failed)}); mend the address."
        ) from None


def _call(address: str, ask: Callable[[grpc.Channel], Any]) -> Any:
    with grpc.insecure_channel(address) as channel:
        return ask(channel)


def _code(error: grpc.RpcError) -> str:
    return error.code().name if isinstance(error, grpc.Call) else type(error).__name__


def refusal_of(address: str) -> Exception | None:
    """Why no connection can be made to `host:port`; None if it can."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return ValueError("an address is HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        return error
    return None


def _is_loopback(address: str | None) -> bool:
    host = (address or "").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

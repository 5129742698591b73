"""Flink's REST API, and what Beam's FlinkRunner needs before it can submit a job."""

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.runners.portability.flink_runner import (
    MAGIC_HOST_NAMES,
    FlinkJarJobServer,
    FlinkRunner,
)
from apache_beam.utils.subprocess_server import JavaJarServer

from facemill.transforms.core.errors import UsageError

_SECONDS_TO_ANSWER = 4.5
# States in which a job holds no slots and writes nothing more.
_ENDED = ("FINISHED", "CANCELED", "FAILED")


@dataclass(frozen=True)
class FlinkJob:
    """A job that has not ended.

    Attributes:
        id: its id, 32 hexadecimal digits.
        name: its name.
    """

    id: str
    name: str


class FlinkRest:
    """The REST API of a Flink cluster.

    Args:
        address: URL of the JobManager, such as `http://node1:8081`.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def running(self) -> list[FlinkJob]:
        """The jobs that have not ended.

        Raises:
            OSError: the cluster does not answer.
            ValueError: what answers is not Flink.
        """
        overview = self._call("GET", "/jobs/overview")
        jobs = overview.get("jobs") if isinstance(overview, Mapping) else None
        if not isinstance(jobs, list):
            raise ValueError("the answer has no list of jobs")
        return [FlinkJob(one["jid"], one["name"]) for one in jobs if one["state"] not in _ENDED]

    def cancel(self, job: FlinkJob) -> None:
        """Asks the cluster to cancel a job.

        Raises:
            OSError: the cluster does not answer, or refuses.
        """
        self._call("PATCH", f"/jobs/{job.id}?mode=cancel")

    def how_to_cancel(self, job_id: str) -> str:
        """The command that cancels a job."""
        return f"curl -X PATCH '{self.address}/jobs/{job_id}?mode=cancel'"

    def _call(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"{self.address}{path}", method=method)
        with urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER) as answer:
            return json.loads(answer.read() or b"null")


def rest_of(options: PipelineOptions) -> FlinkRest | None:
    """The REST API of the cluster that the options name; None if they name none."""
    master = options.view_as(FlinkRunnerOptions).flink_master
    if not master or master in MAGIC_HOST_NAMES:
        return None
    return FlinkRest(FlinkRunner.add_http_scheme(master))


def check_flink(runner: str, options: PipelineOptions) -> None:
    """Checks that the named cluster answers, and that a FlinkRunner can start a job server.

    Args:
        runner: name of the runner.
        options: of Beam.

    Raises:
        UsageError: the cluster does not answer, or there is no Java or no job server.
    """
    rest = rest_of(options)
    if rest is not None:
        running(rest)
    starts_server = not options.view_as(PortableOptions).job_endpoint
    if runner.rsplit(".", 1)[-1] == "FlinkRunner" and starts_server:
        _check_job_server(options)


def running(rest: FlinkRest) -> list[FlinkJob]:
    """The jobs of a cluster that have not ended.

    Raises:
        UsageError: the cluster does not answer.
    """
    try:
        return rest.running()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--flink_master must be where Flink's REST API listens, got {rest.address} "
            f"({_reason(error)}); start the cluster or mend the address."
        ) from None


def _check_job_server(options: PipelineOptions) -> None:
    instead = "start a job server yourself and give --runner=PortableRunner and its --job_endpoint"
    java = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and (
        java is None or shutil.which(os.path.join(java, "bin", "java")) is None
    ):
        raise UsageError(
            f"FlinkRunner must have Java for its job server, but found no `java`; install it, or "
            f"{instead}."
        )
    try:
        jar = FlinkJarJobServer(options).path_to_jar()
        if "://" in jar and not os.path.exists(_cached(jar)):
            request = urllib.request.Request(jar, method="HEAD")
            urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER).close()
    except (OSError, ValueError, RuntimeError) as error:
        version = options.view_as(FlinkRunnerOptions).flink_version
        raise UsageError(
            f"FlinkRunner must have Beam's job server for Flink {version}, but it cannot be had "
            f"({_reason(error)}); give its jar as --flink_job_server_jar, or {instead}."
        ) from None


def _cached(jar: str) -> str:
    return os.path.join(JavaJarServer.JAR_CACHE, os.path.basename(jar))


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason} from {error.url}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    if isinstance(error, ValueError | KeyError | TypeError):
        return "what answers there is not Flink"
    return " ".join(str(error).split())[:200].rstrip(".")

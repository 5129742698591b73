"""Flink's REST API, and what is checked of a cluster before a job is submitted to it."""

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES, FlinkRunner

from facemill.pipelines.common.job_servers import SECONDS_TO_ANSWER, reason_of
from facemill.pipelines.common.local import bare_name
from facemill.transforms.core.errors import UsageError

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

    def version(self) -> str:
        """The version of the cluster, such as 1.20.5.

        Raises:
            OSError, ValueError, KeyError, TypeError: it does not say.
        """
        return str(self._call("GET", "/overview")["flink-version"])

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
        with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER) as answer:
            return json.loads(answer.read() or b"null")


def rest_of(options: PipelineOptions) -> FlinkRest | None:
    """The REST API of the cluster that the options name; None if they name none."""
    master = options.view_as(FlinkRunnerOptions).flink_master
    if not master or master in MAGIC_HOST_NAMES:
        return None
    return FlinkRest(FlinkRunner.add_http_scheme(master))


def check_flink(runner: str, options: PipelineOptions) -> None:
    """Checks that the named cluster answers, and is of the version that a FlinkRunner submits to.

    Args:
        runner: name of the runner.
        options: of Beam.

    Raises:
        UsageError: the cluster does not answer, or is of another version.
    """
    rest = rest_of(options)
    if rest is not None:
        running(rest)
    starts_server = not (
        options.view_as(PortableOptions).job_endpoint
        or options.view_as(FlinkRunnerOptions).flink_job_server_jar
    )
    if rest is not None and bare_name(runner) == "FlinkRunner" and starts_server:
        _check_version(rest, options)


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


def _check_version(rest: FlinkRest, options: PipelineOptions) -> None:
    """Refuses a job server for another Flink than the cluster's: it fails as it submits."""
    wanted = options.view_as(FlinkRunnerOptions).flink_version
    try:
        found = rest.version()
    except (OSError, ValueError, KeyError, TypeError):
        # An old or a fenced cluster may not tell.
        return
    if not found.startswith(f"{wanted}."):
        raise UsageError(
            f"--flink_version must be that of the cluster, which is {found} at {rest.address}, got "
            f"{wanted}; give --flink_version={'.'.join(found.split('.')[:2])}."
        )


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError | KeyError | TypeError):
        return "what answers there is not Flink"
    return reason_of(error)

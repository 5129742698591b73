"""Job servers that Beam's runners start by themselves: what they need, checked before a job."""

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
)
from apache_beam.runners.portability.flink_runner import FlinkJarJobServer
from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.runners.portability.spark_runner import SparkJarJobServer
from apache_beam.utils.subprocess_server import JavaJarServer

from facemill.pipelines.common.endpoints import refusal_of
from facemill.pipelines.common.local import bare_name
from facemill.transforms.core.errors import UsageError

SECONDS_TO_ANSWER = 4.5


@dataclass(frozen=True)
class _Server:
    """A program that a runner starts.

    Attributes:
        what: names it in a sentence.
        path: gives its path or URL.
        cache: folder in which Beam keeps what it has downloaded.
        flag: names its file.
        needs_java: whether Java runs it.
    """

    what: str
    path: Callable[[PipelineOptions], str]
    cache: str
    flag: str
    needs_java: bool = True


def check_job_server(runner: str, options: PipelineOptions) -> None:
    """Checks that a runner can start its own job server, if it has to.

    Args:
        runner: its name.
        options: of Beam.

    Raises:
        UsageError: there is no Java, the server is neither here nor can it be downloaded, or no
            Spark listens where the server would look for it.
    """
    name = bare_name(runner)
    if name == "SparkRunner":
        _check_spark_master(options)
    server = _server_of(name, options)
    if server is None or options.view_as(PortableOptions).job_endpoint:
        return
    instead = "start a job server yourself and give --runner=PortableRunner and its --job_endpoint"
    if server.needs_java and not _has_java():
        raise UsageError(
            f"{name} must have Java for its job server, but found no `java`; install it, or "
            f"{instead}."
        )
    try:
        path = server.path(options)
        if "://" in path and not os.path.exists(os.path.join(server.cache, os.path.basename(path))):
            request = urllib.request.Request(path, method="HEAD")
            urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER).close()
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{name} must have {server.what}, but it cannot be had ({reason_of(error)}); give its "
            f"file as --{server.flag}, or {instead}."
        ) from None


def reason_of(error: Exception) -> str:
    """Why a URL could not be read, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason} from {error.url}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return " ".join(str(error).split())[:200].rstrip(".")


def _server_of(runner: str, options: PipelineOptions) -> _Server | None:
    """The server that a runner starts; None for other runners."""
    if runner == "FlinkRunner":
        version = options.view_as(FlinkRunnerOptions).flink_version
        return _Server(
            f"Beam's job server for Flink {version}",
            lambda given: FlinkJarJobServer(given).path_to_jar(),
            JavaJarServer.JAR_CACHE,
            "flink_job_server_jar",
        )
    if runner == "SparkRunner" and not options.view_as(SparkRunnerOptions).spark_submit_uber_jar:
        return _Server(
            "Beam's job server for Spark 3",
            lambda given: SparkJarJobServer(given).path_to_jar(),
            JavaJarServer.JAR_CACHE,
            "spark_job_server_jar",
        )
    if runner == "PrismRunner":
        return _Server(
            "Beam's program Prism",
            lambda given: PrismJobServer(given).path_to_binary(),
            PrismJobServer.BIN_CACHE,
            "prism_location",
            needs_java=False,
        )
    return None


def _check_spark_master(options: PipelineOptions) -> None:
    master = options.view_as(SparkRunnerOptions).spark_master_url
    if not master.startswith("spark://"):
        return
    # Several masters stand by for each other.
    refusals = [refusal_of(one) for one in master.removeprefix("spark://").split(",")]
    if all(refusals):
        raise UsageError(
            f"--spark_master_url must be where a Spark master listens, got {master} "
            f"({refusals[0]}); start the master or mend the address."
        )


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    named = None if home is None else os.path.join(home, "bin", "java")
    return any(shutil.which(java) is not None for java in ("java", named) if java)

"""Checks, before a job is submitted, that its workers can have facemill."""

import json
import re

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    SparkRunnerOptions,
)
from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES
from apache_beam.runners.portability.spark_runner import LOCAL_MASTER_PATTERN

from facemill.pipelines.common.local import bare_name
from facemill.transforms.core.errors import UsageError

_TYPES = ("EXTERNAL", "PROCESS", "DOCKER", "LOOPBACK")
# Beam's own: workers that run in the launcher's process.
_EMBEDDED = "embed"


def check_environment(runner: str, options: PipelineOptions) -> None:
    """Checks the options by which a portable runner starts Python workers.

    Args:
        runner: its name.
        options: of Beam.

    Raises:
        UsageError: they name no way to start workers, or one that has no facemill.
    """
    portable = options.view_as(PortableOptions)
    kind, config = portable.environment_type, portable.environment_config
    name = bare_name(runner)
    if name not in ("PortableRunner", "FlinkRunner", "SparkRunner", "PrismRunner"):
        return
    # A kind by its URN is for those who know Beam better than this check does.
    if portable.job_endpoint == _EMBEDDED or (kind or "").startswith("beam:env:"):
        return
    if not kind:
        if _runs_beside_the_launcher(name, options):
            return
        kind = "DOCKER"
    if kind not in _TYPES:
        raise UsageError(
            f"--environment_type must be {', '.join(_TYPES[:-1])} or {_TYPES[-1]}, got {kind}; "
            "see docs/runners.md."
        )
    if kind == "DOCKER" and not config and not _installs(options):
        raise UsageError(
            "Workers must have facemill, but Beam's own image, which they get without another "
            "--environment_type, has not; give --environment_type=EXTERNAL and the address of a "
            "worker pool as --environment_config, or --environment_type=DOCKER and an image of "
            "deploy/Dockerfile."
        )
    if kind == "PROCESS" and not portable.lookup_environment_option("process_command"):
        _check_command(config)
    named = config or portable.lookup_environment_option("external_service_address")
    if kind == "EXTERNAL" and not named:
        raise UsageError(
            "--environment_config must be where a worker pool listens, with "
            "--environment_type=EXTERNAL, got none; give its HOST:PORT."
        )


def _runs_beside_the_launcher(runner: str, options: PipelineOptions) -> bool:
    """Whether a runner without a named kind of workers lets the launcher start them."""
    portable = options.view_as(PortableOptions)
    if portable.output_executable_path:
        return False
    if runner == "FlinkRunner":
        return options.view_as(FlinkRunnerOptions).flink_master in MAGIC_HOST_NAMES
    if runner == "SparkRunner":
        master = options.view_as(SparkRunnerOptions).spark_master_url
        return re.match(LOCAL_MASTER_PATTERN, master) is not None
    return runner == "PrismRunner"


def _installs(options: PipelineOptions) -> bool:
    """Whether containers have another image than Beam's, or install what a launcher stages."""
    setup = options.view_as(SetupOptions)
    return bool(
        options.view_as(PortableOptions).lookup_environment_option("docker_container_image")
        or setup.requirements_file
        or setup.setup_file
        or setup.extra_packages
        or setup.prebuild_sdk_container_engine
    )


def _check_command(config: str | None) -> None:
    try:
        found = json.loads(config or "{}")
        command = found.get("command") if isinstance(found, dict) else None
    except ValueError:
        command = None
    if not command:
        raise UsageError(
            '--environment_config must be such as {"command": "/path/boot"}, with '
            f"--environment_type=PROCESS, got {config or 'none'}; name the program that starts a "
            "worker, see docs/runners.md."
        )

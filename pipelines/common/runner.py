"""Chooses the runner of a Beam graph and runs the graph; no other module depends on the runner."""

import argparse
import hashlib
import os
import platform
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner

from facemill.pipelines.common import (
    dataflow,
    endpoints,
    environments,
    failures,
    flink,
    job_servers,
)
from facemill.pipelines.common.cancel import Interrupts, cancel_job
from facemill.pipelines.common.local import LOCAL, bare_name, runs_here
from facemill.pipelines.common.progress import Progress
from facemill.transforms.core import counters
from facemill.transforms.core.beam_options import OptionsWithViews
from facemill.transforms.core.dofn_specs import remember_specs
from facemill.transforms.core.errors import RunError, UsageError

_NO_PATHS: Mapping[str, str | Sequence[str] | None] = {}


@dataclass(frozen=True)
class Runner:
    """A Beam runner with its options, ready to run a graph.

    Attributes:
        name: as `run.json` has it.
        options: of Beam.
    """

    name: str
    options: PipelineOptions

    @property
    def is_here(self) -> bool:
        """Whether the graph's steps run in this very process."""
        mode = self.options.view_as(DirectOptions).direct_running_mode
        return self.name == LOCAL and mode != "multi_processing"

    @property
    def is_local(self) -> bool:
        """Whether all steps run on this machine, so that its disks are enough."""
        return runs_here(self.name)

    @property
    def is_dataflow(self) -> bool:
        """Whether it is Google's service."""
        return bare_name(self.name) == dataflow.NAME

    def run(
        self, build: Callable[[beam.Pipeline], None], progress: Progress, output: str
    ) -> dict[str, Any]:
        """Builds a graph and runs it to its end.

        Args:
            build: adds the graph to a pipeline.
            progress: shown while the job runs.
            output: absolute path or URL of the job's output, which names the job on a remote
                runner.

        Returns:
            What `run.json` holds of the run: runner, versions, seconds, and the counters of
            `transforms.core.counters`.

        Raises:
            FacemillError: a worker raised it; it keeps the worker's sentence.
            UsageError: an earlier job of the same output still runs.
            RunError: the runner reports another failure, or does not answer any more.
            KeyboardInterrupt: the run was interrupted; the job was canceled where that is possible.
        """
        print(f"runner: {self.name}", file=sys.stderr)
        started = time.time()
        name = self._name_job(output)
        pipeline = self._pipeline()
        build(pipeline)
        if self.name != LOCAL:
            self._refuse_second(name)
        with progress, failures.without_tracebacks():
            state, counted = self._run(pipeline, name)
        if state == "CANCELLED":
            raise failures.canceled(self.name)
        if state not in (None, "DONE"):
            raise RunError(
                f"The job must run to its end on {self.name}, but it ended as {state}; "
                "see the runner's log and run the same command again."
            )
        return {
            "runner": self.name,
            "beam": beam.__version__,
            "python": platform.python_version(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 2),
            "counters": counted,
        }

    def _run(self, pipeline: beam.Pipeline, name: str) -> tuple[str | None, dict[str, int]]:
        """Runs a pipeline; returns the state in which it ended, and its counters."""
        result, is_remote = None, self.name != LOCAL
        interrupts = Interrupts()
        # Other runners run the graph to its end before they return.
        submits = isinstance(pipeline.runner, PortableRunner)
        try:
            with interrupts.caught() if is_remote else nullcontext():
                with interrupts.submitting() if submits else nullcontext():
                    result = pipeline.run()
                state = result.wait_until_finish()
            return state, counters.values(result)
        except KeyboardInterrupt:
            if is_remote:
                endpoint = self.options.view_as(PortableOptions).job_endpoint
                rest = flink.rest_of(self.options)
                print(
                    f"\nfacemill: {cancel_job(result, self.name, name, endpoint, rest)}",
                    file=sys.stderr,
                )
            raise
        # Runners raise whatever a worker raised, and errors of their own.
        except Exception as error:  # noqa: BLE001 - reported below, in a sentence
            if os.environ.get(failures.DEBUG):
                traceback.print_exception(error)
            raise failures.as_sentence(error, self.name, self._where()) from None

    def _name_job(self, output: str) -> str:
        """Names the job by its output, unless a flag names it; returns the name."""
        cloud = self.options.view_as(GoogleCloudOptions)
        if not cloud.job_name:
            digest = hashlib.sha256(output.encode("utf-8", "surrogateescape")).hexdigest()
            # Dataflow takes no other characters.
            last = re.sub(r"[^a-z0-9]+", "-", os.path.basename(output).lower())[:16].strip("-")
            cloud.job_name = "-".join(filter(None, ("facemill", last, digest[:12])))
        return cloud.job_name

    def _refuse_second(self, name: str) -> None:
        """Refuses to submit a job beside an earlier one of the same output."""
        rest = flink.rest_of(self.options)
        if rest is None:
            return
        for job in flink.running(rest):
            if job.name == name:
                raise UsageError(
                    f"No earlier job of this output may run any more, but {name} still runs on "
                    f"Flink at {rest.address} as {job.id}; wait for its end or cancel it by "
                    f"{rest.how_to_cancel(job.id)}."
                )

    def _where(self) -> str:
        """The machines that run the steps, for people."""
        pool = endpoints.pool_of(self.options)
        if pool is not None:
            return f"the worker pool at {pool}"
        return "this machine" if self.name == LOCAL else f"a worker of {self.name}"

    def check(self, paths: Mapping[str, str | Sequence[str] | None]) -> None:
        """Checks that the runner exists, has the options it needs, and that its servers answer.

        Args:
            paths: see `choose`.

        Raises:
            UsageError: the runner cannot be used.
        """
        if self.is_dataflow:
            # Beam's own checks ask the service, for minutes if it does not answer.
            dataflow.check_dataflow(self.options)
            dataflow.check_paths(paths)
        try:
            # Beam leaves the temporary folder of a pipeline that is never run.
            shutil.rmtree(self._pipeline().local_tempdir, ignore_errors=True)
        except (ValueError, ImportError, AttributeError) as error:
            raise UsageError(
                f"--runner and its options must name a runner that can be used, got {self.name}: "
                f"{' '.join(str(error).split())[:400].rstrip('.')}; see Beam's page on that runner."
            ) from None
        endpoints.check_endpoints(self.name, self.options)
        if self.name != LOCAL:
            flink.check_flink(self.name, self.options)
            job_servers.check_job_server(self.name, self.options)
            environments.check_environment(self.name, self.options)

    def _pipeline(self) -> beam.Pipeline:
        runner = FnApiRunner() if self.name == LOCAL else None
        return beam.Pipeline(runner=runner, options=self.options)


def choose(
    beam_args: Sequence[str], paths: Mapping[str, str | Sequence[str] | None] = _NO_PATHS
) -> Runner:
    """The runner that the flags name; FnApiRunner where they name none.

    Args:
        beam_args: flags that are not the command's own.
        paths: parameter to value of what the job's workers read and write: a path or URL, several,
            or None. Whether a disk is mounted on the workers of a cluster cannot be known here;
            workers of a service have no disk in common with this machine.

    Raises:
        UsageError: Beam does not know a flag, a flag has a wrong value, the runner is known to
            lose data, its workers cannot reach a path, or it cannot be used.
    """
    remember_specs()
    _refuse_unknown(beam_args)
    options = OptionsWithViews(list(beam_args))
    standard = options.view_as(StandardOptions)
    if standard.runner:
        standard.runner = _spelled(standard.runner)
    name = standard.runner or LOCAL
    if "Dask" in name:
        raise UsageError(
            f"--runner must not be {name}, which loses data without an error; "
            f"use {LOCAL}, PortableRunner, FlinkRunner or DataflowRunner."
        )
    if bare_name(name) == LOCAL:
        name = LOCAL
    runner = Runner(name, options)
    runner.check(paths)
    return runner


def _spelled(runner: str) -> str:
    """A runner's name as Beam spells it; Beam takes `dataflow` and `DATAFLOWRUNNER` too."""
    known = {name.lower(): name for name in StandardOptions.KNOWN_RUNNER_NAMES}
    given = runner.lower()
    return known.get(given) or known.get(f"{given}runner") or runner


class _Parser(argparse.ArgumentParser):
    """Reports a wrong value in one sentence; Beam's own parsers print all of their options."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(
            f"every option of Beam's must have a value that it takes, got: {message}; see Beam's "
            "page on its options."
        )


def unknown_words(beam_args: Sequence[str]) -> list[str]:
    """The words of a command line that are no option of Beam's.

    Args:
        beam_args: flags that are not the command's own.

    Raises:
        UsageError: an option has a value that it does not take.
    """
    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for group in PipelineOptions.__subclasses__():
        group._add_argparse_args(parser)
    return parser.parse_known_args(list(beam_args))[1]


def _refuse_unknown(beam_args: Sequence[str]) -> None:
    unknown = unknown_words(beam_args)
    if unknown:
        raise UsageError(
            f"every option must be the command's own or Beam's, got {unknown[0]}; see --help."
        )

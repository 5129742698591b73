"""Chooses the runner of a Beam graph and runs the graph; no other module depends on the runner."""

import argparse
import logging
import os
import platform
import re
import shutil
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from facemill.pipelines.common.beam_options import OptionsWithViews
from facemill.pipelines.common.progress import Progress
from facemill.transforms.core.errors import FacemillError, RunError, UsageError

LOCAL = "FnApiRunner"

# An environment variable: if set, the stack of an unexpected failure is shown.
_DEBUG = "FACEMILL_DEBUG"

# Beam itself waits forever for a job endpoint on which no server listens.
_SECONDS_TO_CONNECT = 10.0

# Beam's name of the thread that reads a job's messages.
_WATCHER = "wait_until_finish_read"

# Beam appends this to the text of an error that a step raised.
_STEP = r"(?: \[while running '[^']*'\])*"


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

    def run(self, build: Callable[[beam.Pipeline], None], progress: Progress) -> dict[str, Any]:
        """Builds a graph and runs it to its end.

        Returns:
            What `run.json` holds of the run: runner, versions, seconds.

        Raises:
            FacemillError: a worker raised it; it keeps the worker's sentence.
            RunError: the runner reports another failure, or does not answer any more.
        """
        print(f"runner: {self.name}", file=sys.stderr)
        started = time.time()
        pipeline = self._pipeline()
        build(pipeline)
        with progress, _without_tracebacks():
            result = None
            try:
                result = pipeline.run()
                state = result.wait_until_finish()
            except KeyboardInterrupt:
                # A portable runner would go on after this process has ended.
                if result is not None:
                    with suppress(grpc.RpcError, RuntimeError):
                        result.cancel()
                raise
            # Runners raise whatever a worker raised, and errors of their own.
            except Exception as error:  # noqa: BLE001 - reported below, in a sentence
                if os.environ.get(_DEBUG):
                    traceback.print_exception(error)
                raise self._as_sentence(error) from None
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
        }

    def _as_sentence(self, error: Exception) -> FacemillError:
        """The failure as an error of one sentence."""
        own = _own_words(error)
        if own is not None:
            return own
        if isinstance(error, grpc.RpcError):
            return RunError(
                f"The runner must answer until the job ends, but {self.name} does not any more "
                f"({_rpc_cause(error)}); see its log, stop the job if it still runs, and run the "
                "same command again."
            )
        return RunError(
            f"The job must run to its end on {self.name}, but it failed: {_cause(error)}; mend "
            f"that and run the same command again, or with {_DEBUG}=1 to see where it failed."
        )

    def check(self) -> None:
        """Checks that the runner exists, has the options it needs, and that its job server listens.

        Raises:
            UsageError: the runner cannot be used.
        """
        try:
            # Beam leaves the temporary folder of a pipeline that is never run.
            shutil.rmtree(self._pipeline().local_tempdir, ignore_errors=True)
        except (ValueError, ImportError, AttributeError) as error:
            raise UsageError(
                f"--runner and its options must name a runner that can be used, got {self.name}: "
                f"{' '.join(str(error).split())[:400].rstrip('.')}; see Beam's page on that runner."
            ) from None
        _check_endpoint(self.options.view_as(PortableOptions).job_endpoint)

    def _pipeline(self) -> beam.Pipeline:
        runner = FnApiRunner() if self.name == LOCAL else None
        return beam.Pipeline(runner=runner, options=self.options)


def choose(beam_args: Sequence[str]) -> Runner:
    """The runner that the flags name; FnApiRunner where they name none.

    Args:
        beam_args: flags that are not the command's own.

    Raises:
        UsageError: Beam does not know a flag, a flag has a wrong value, the runner is known to
            lose data, or it cannot be used.
    """
    _refuse_unknown(beam_args)
    options = OptionsWithViews(list(beam_args))
    name = options.view_as(StandardOptions).runner or LOCAL
    if "Dask" in name:
        raise UsageError(
            f"--runner must not be {name}, which loses data without an error; "
            f"use {LOCAL}, PortableRunner, FlinkRunner or DataflowRunner."
        )
    runner = Runner(LOCAL if name.rsplit(".", 1)[-1] == LOCAL else name, options)
    runner.check()
    return runner


class _Parser(argparse.ArgumentParser):
    """Reports a wrong value in one sentence; Beam's own parsers print all of their options."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(
            f"every option of Beam's must have a value that it takes, got: {message}; see Beam's "
            "page on its options."
        )


def _refuse_unknown(beam_args: Sequence[str]) -> None:
    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for group in PipelineOptions.__subclasses__():
        group._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(beam_args))
    if unknown:
        raise UsageError(
            f"every option must be the command's own or Beam's, got {unknown[0]}; see --help."
        )


def _check_endpoint(endpoint: str | None) -> None:
    host, _, port = (endpoint or "").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"--job_endpoint must be where a job server listens, got {endpoint} ({error}); "
            "start the server or mend the address."
        ) from None


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Suppresses the tracebacks that Beam shows beside the error that it raises.

    Beam logs what a step raised and the messages of a portable runner, workers' tracebacks among
    them. Its thread that watches the job shows another traceback when the job server dies.
    """
    before = threading.excepthook
    # Else Beam would add the root's handlers at its first message, without this filter.
    logging.basicConfig()
    handlers = list(logging.getLogger().handlers)

    def report(failed: threading.ExceptHookArgs) -> None:
        if not isinstance(failed.exc_value, grpc.RpcError):
            before(failed)

    def keeps(record: logging.LogRecord) -> bool:
        return not record.exc_info and "Traceback (most recent call" not in record.getMessage()

    threading.excepthook = report
    for handler in handlers:
        handler.addFilter(keeps)
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if thread.name == _WATCHER:
                # This thread may notice the end a moment later than the one that waits for the job.
                thread.join(1)
        threading.excepthook = before
        for handler in handlers:
            handler.removeFilter(keeps)


def _own_words(error: Exception) -> FacemillError | None:
    """The error that a worker raised, found in the runner's report; None for other failures."""
    if isinstance(error, FacemillError):
        return error
    # Runners of other processes report no more than the worker's traceback.
    by_name = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in _kinds(FacemillError)}
    names = "|".join(map(re.escape, by_name))
    found = re.findall(rf"(?m)(?:^|\s)({names}): (.+)$", str(error))
    if not found:
        return None
    name, text = found[-1]
    # The error's values are lost; its sentence names the parameters.
    sentence = re.sub(rf"{_STEP}\s*$", "", text)
    return UsageError(sentence) if issubclass(by_name[name], UsageError) else RunError(sentence)


def _kinds(kind: type[FacemillError]) -> Iterator[type[FacemillError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _rpc_cause(error: grpc.RpcError) -> str:
    """Status code and details of a failed call, without the dump around them."""
    if not isinstance(error, grpc.Call):
        return _cause(error)
    details = " ".join((error.details() or "").split())[:200].rstrip(".")
    return ": ".join(filter(None, (error.code().name, details)))


def _cause(error: BaseException) -> str:
    """The last line of a runner's report that names an error, without the stack above it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line or "Error [" in line]
    text = (named or lines or [type(error).__name__])[-1]
    return text[:300].rstrip(".;")

"""Which engine runs a Beam graph, and running it: the one place that knows."""

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

from facemill.pipelines.common.progress import Progress
from facemill.transforms.core.errors import FacemillError, RunError, UsageError

LOCAL = "FnApiRunner"

# A variable that, if set, shows the stack of a failure that is not a person's.
_DEBUG = "FACEMILL_DEBUG"

# Beam itself waits for ever for a job endpoint that nobody listens on.
_SECONDS_TO_CONNECT = 10.0

# Beam's name of the thread that reads a job's messages.
_WATCHER = "wait_until_finish_read"

# Beam puts it at the end of what a step raised.
_STEP = r"(?: \[while running '[^']*'\])*"


@dataclass(frozen=True)
class Runner:
    """An engine that is ready to run a graph.

    Attributes:
        name: as `run.json` says it.
        options: Beam's.
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
            What `run.json` says of it: engine, versions, seconds.

        Raises:
            FacemillError: what a worker raised, in its own words.
            RunError: the engine reports another failure, or does not answer any more.
        """
        print(f"engine: {self.name}", file=sys.stderr)
        started = time.time()
        pipeline = self._pipeline()
        build(pipeline)
        with progress, _without_tracebacks():
            result = None
            try:
                result = pipeline.run()
                state = result.wait_until_finish()
            except KeyboardInterrupt:
                # A portable runner would go on without us.
                if result is not None:
                    with suppress(grpc.RpcError, RuntimeError):
                        result.cancel()
                raise
            # Engines raise what a worker raised, of whatever kind, and errors of their own.
            except Exception as error:  # noqa: BLE001 - told below, in a sentence
                if os.environ.get(_DEBUG):
                    traceback.print_exception(error)
                raise self._told(error) from None
        if state not in (None, "DONE"):
            raise RunError(
                f"The job must run to its end on {self.name}, but it ended as {state}; "
                "see the engine's log and run the same command again."
            )
        return {
            "engine": self.name,
            "beam": beam.__version__,
            "python": platform.python_version(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 2),
        }

    def _told(self, error: Exception) -> FacemillError:
        """A failure in one sentence."""
        own = _own_words(error)
        if own is not None:
            return own
        if isinstance(error, grpc.RpcError):
            return RunError(
                f"The engine must answer until the job ends, but {self.name} does not any more "
                f"({_rpc_cause(error)}); see its log, stop the job if it still runs, and run the "
                "same command again."
            )
        return RunError(
            f"The job must run to its end on {self.name}, but it failed: {_cause(error)}; mend "
            f"that and run the same command again, or with {_DEBUG}=1 to see where it failed."
        )

    def check(self) -> None:
        """Sees to it that the engine exists, has the options it needs, and listens.

        Raises:
            UsageError: it does not.
        """
        try:
            # Of one that is never run, Beam leaves its folder of temporary files.
            shutil.rmtree(self._pipeline().local_tempdir, ignore_errors=True)
        except (ValueError, ImportError, AttributeError) as error:
            raise UsageError(
                f"--runner and its options must name an engine that can be used, got {self.name}: "
                f"{' '.join(str(error).split())[:400].rstrip('.')}; see Beam's page on that runner."
            ) from None
        _check_endpoint(self.options.view_as(PortableOptions).job_endpoint)

    def _pipeline(self) -> beam.Pipeline:
        runner = FnApiRunner() if self.name == LOCAL else None
        return beam.Pipeline(runner=runner, options=self.options)


def choose(beam_args: Sequence[str]) -> Runner:
    """The engine that the flags name; FnApiRunner where they name none.

    Args:
        beam_args: flags that are not the command's own.

    Raises:
        UsageError: a flag is not Beam's either or has a wrong value, the runner is known to lose
            data, or it cannot be used.
    """
    _refuse_unknown(beam_args)
    options = PipelineOptions(list(beam_args))
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
    """Tells a wrong value in one sentence; Beam's own parsers print all of their options."""

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
    """Keeps to ourselves what Beam shows beside the error that it raises.

    It logs what a step raised, logs a portable engine's messages as they come, workers' tracebacks
    among them, and watches the job from a thread that shows another when the job server dies.
    """
    before = threading.excepthook
    # Beam would do it at its first message; what loggers below the root log passes its handlers.
    logging.basicConfig()
    handlers = list(logging.getLogger().handlers)

    def told(failed: threading.ExceptHookArgs) -> None:
        if not isinstance(failed.exc_value, grpc.RpcError):
            before(failed)

    def keeps(record: logging.LogRecord) -> bool:
        return not record.exc_info and "Traceback (most recent call" not in record.getMessage()

    threading.excepthook = told
    for handler in handlers:
        handler.addFilter(keeps)
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if thread.name == _WATCHER:
                # It may notice a moment later than the one that waits for the end.
                thread.join(1)
        threading.excepthook = before
        for handler in handlers:
            handler.removeFilter(keeps)


def _own_words(error: Exception) -> FacemillError | None:
    """What a worker told a person, out of what the engine made of it; None for other failures."""
    if isinstance(error, FacemillError):
        return error
    # Engines of other processes have no more than the worker's traceback.
    by_name = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in _kinds(FacemillError)}
    names = "|".join(map(re.escape, by_name))
    found = re.findall(rf"(?m)(?:^|\s)({names}): (.+)$", str(error))
    if not found:
        return None
    name, text = found[-1]
    # Values are lost; parameters are named in the sentence.
    sentence = re.sub(rf"{_STEP}\s*$", "", text)
    return UsageError(sentence) if issubclass(by_name[name], UsageError) else RunError(sentence)


def _kinds(kind: type[FacemillError]) -> Iterator[type[FacemillError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _rpc_cause(error: grpc.RpcError) -> str:
    """Code and words of a call that failed, without the dump around them."""
    if not isinstance(error, grpc.Call):
        return _cause(error)
    details = " ".join((error.details() or "").split())[:200].rstrip(".")
    return ": ".join(filter(None, (error.code().name, details)))


def _cause(error: BaseException) -> str:
    """The last line of an engine's report that says something, without the stack above it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line or "Error [" in line]
    text = (named or lines or [type(error).__name__])[-1]
    return text[:300].rstrip(".;")

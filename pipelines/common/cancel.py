"""Cancels the job of a remote runner when its launcher is interrupted."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import grpc
from apache_beam.runners.runner import PipelineState

from facemill.pipelines.common.endpoints import is_of_a_cluster
from facemill.pipelines.common.flink import FlinkJob, FlinkRest
from facemill.transforms.core.errors import UsageError

_SECONDS_TO_END = 20.0
_SECONDS_BETWEEN_LOOKS = 0.25
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Makes SIGINT and SIGTERM raise KeyboardInterrupt, but not while a job is submitted.

    A job whose submission is cut off may run without anybody who knows its id. A second signal
    raises in any case.
    """

    def __init__(self) -> None:
        self._is_submitting = False
        self._came = False

    @contextmanager
    def caught(self) -> Iterator["Interrupts"]:
        """Catches both signals in a block; not in threads, where Python cannot."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {one: signal.getsignal(one) for one in _SIGNALS}
        for one, handler in before.items():
            # `nohup` and background jobs of shells ignore SIGINT, and so does this.
            if handler is not signal.SIG_IGN:
                signal.signal(one, self._handle)
        try:
            yield self
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Postpones the first signal to the end of a block.

        Raises:
            KeyboardInterrupt: a signal came.
        """
        self._is_submitting = True
        try:
            yield
        finally:
            self._is_submitting = False
        if self._came:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if not self._is_submitting or self._came:
            raise KeyboardInterrupt
        self._came = True
        print(
            "facemill: the job is canceled once it is submitted; interrupt again to leave it.",
            file=sys.stderr,
        )


def cancel_job(result: Any, runner: str, name: str, endpoint: str | None, rest: Any) -> str:
    """Cancels a job where that is possible.

    Args:
        result: what Beam returned when the job was submitted; None if it was interrupted before.
        runner: name of the runner.
        name: of the job.
        endpoint: of the job server, if there is one.
        rest: `FlinkRest` of the cluster, if its address is known; else None.

    Returns:
        What has become of the job, in one sentence.
    """
    if rest is not None:
        sentence = _cancel_on_flink(rest, name)
        if result is not None:
            # The job server notices by itself, but this ends what Beam has started here.
            with suppress(grpc.RpcError, RuntimeError):
                result.cancel()
        return sentence
    if result is None:
        return (
            f"It is not known whether {runner} has the job {name}; look for it there and cancel it."
        )
    job = _id_of(result)
    where = runner if endpoint is None else f"{runner} at {endpoint}"
    try:
        of_a_cluster = endpoint is not None and ":" in endpoint and is_of_a_cluster(endpoint)
        result.cancel()
        if of_a_cluster:
            return (
                f"The job {name} may run on in the cluster, which the job server at {endpoint} "
                "cannot cancel; cancel it in the cluster (Flink: PATCH /jobs/ID?mode=cancel of "
                "its REST API), or give that API's address as --flink_master, so that it is "
                "canceled from here."
            )
        if _has_ended(result):
            return f"The job {job} on {where} was canceled."
    except (grpc.RpcError, RuntimeError, UsageError) as error:
        cause = error.code().name if isinstance(error, grpc.Call) else type(error).__name__
        return (
            f"The job {job} may run on, since {where} does not cancel it ({cause}); cancel it "
            "there."
        )
    return f"The job {job} on {where} was canceled but still runs; see there that it ends."


def _cancel_on_flink(rest: FlinkRest, name: str) -> str:
    jobs: list[FlinkJob] = []
    try:
        jobs = [job for job in rest.running() if job.name == name]
        if not jobs:
            return f"No job {name} runs on Flink at {rest.address}; see there that it has ended."
        for job in jobs:
            rest.cancel(job)
        deadline = time.monotonic() + _SECONDS_TO_END
        while time.monotonic() < deadline:
            there = {job.id for job in rest.running()}
            if not there & {job.id for job in jobs}:
                return f"The job {name} on Flink at {rest.address} was canceled."
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    job_id = jobs[0].id if jobs else "ID"
    return (
        f"The job {name} may run on, since Flink at {rest.address} does not cancel it; cancel "
        f"it by {rest.how_to_cancel(job_id)}."
    )


def _id_of(result: Any) -> str:
    # Beam has no common name for it: Dataflow's result has a method, the portable one a field.
    found = getattr(result, "job_id", None) or getattr(result, "_job_id", None)
    return str(found() if callable(found) else found or "of this run")


def _has_ended(result: Any) -> bool:
    deadline = time.monotonic() + _SECONDS_TO_END
    while time.monotonic() < deadline:
        if PipelineState.is_terminal(result.state):
            return True
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return False

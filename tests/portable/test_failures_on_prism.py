"""What is said of failures, interrupts and cancellations on a portable runner."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread

import apache_beam as beam
import grpc
import pytest
from apache_beam.options.pipeline_options import PortableOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from facemill.pipelines.common import runner
from facemill.pipelines.common.progress import Progress
from facemill.transforms.core.errors import NotSharedError, RunError, naming
from facemill.transforms.core.same_version import check_version

pytestmark = [pytest.mark.portable, pytest.mark.slow]

_SECONDS_AT_MOST = 60


def _run(flags: list[str], step: Callable[[int], None]) -> None:
    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create([1]) | beam.Map(step)

    runner.choose(flags).run(build, Progress("things", lambda: 0), "/out")


def test_a_failure_in_a_worker_names_the_flag(prism_flags):
    def fail(element: int) -> None:
        raise NotSharedError("/out/x", "node7")

    with pytest.raises(RunError) as failed, naming({"output": "--output"}):
        _run(prism_flags, fail)
    assert str(failed.value) == (
        "--output must be on storage that all workers see at the same path, but /out/x is not "
        "there on node7; mount it on every worker or give another path."
    )


class _OfAnotherVersion:
    """As a later version pickles a `SameVersion`."""

    def __reduce__(self):
        return _unpickled, (os.getpid(),)


def _unpickled(launcher: int) -> _OfAnotherVersion:
    # Beam also unpickles each step where the graph is built.
    if os.getpid() != launcher:
        check_version("99.9")
    return _OfAnotherVersion()


def test_workers_of_another_version_are_named(prism_flags):
    def use(version: object, element: int) -> None:
        raise AssertionError("the step must not be unpickled")

    with pytest.raises(RunError, match=r"^All workers must have facemill 99\.9, which submitted"):
        _run(prism_flags, partial(use, _OfAnotherVersion()))


def _begin_and_wait(begun: Path, element: int) -> None:
    """A step that lasts until its job is canceled, or a minute."""
    begun.touch()
    time.sleep(_SECONDS_AT_MOST)


def _once(begun: Path, call: Callable[[], None]) -> Thread:
    """Calls a function once the step has begun."""

    def wait() -> None:
        deadline = time.monotonic() + _SECONDS_AT_MOST
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        call()

    thread = Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_the_job(prism_flags, tmp_path, capsys, number):
    begun = tmp_path / "begun"
    waits = _once(begun, lambda: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt):
        _run(prism_flags, partial(_begin_and_wait, begun))
    waits.join()
    assert begun.exists()
    assert "was canceled." in capsys.readouterr().err


def test_a_job_that_somebody_else_cancels_is_one_sentence(prism_flags, tmp_path):
    begun = tmp_path / "begun"
    endpoint = runner.choose(prism_flags).options.view_as(PortableOptions).job_endpoint

    def cancel_all() -> None:
        with grpc.insecure_channel(endpoint) as channel:
            stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
            for job in stub.GetJobs(beam_job_api_pb2.GetJobsRequest()).job_info:
                if job.state == beam_job_api_pb2.JobState.RUNNING:
                    stub.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job.job_id))

    waits = _once(begun, cancel_all)
    with pytest.raises(RunError, match=r"PortableRunner, but it was canceled; run the same"):
        _run(prism_flags, partial(_begin_and_wait, begun))
    waits.join()
    assert begun.exists()

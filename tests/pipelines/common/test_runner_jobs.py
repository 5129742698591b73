"""The job that a runner submits: its name, a second one of an output, its cancellation."""

import os
import re
import signal

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions

from facemill.pipelines.common import runner
from facemill.pipelines.common.progress import Progress
from facemill.transforms.core.errors import (
    RunError,
    UsageError,
)
from tests.pipelines.common import fakes


@pytest.fixture
def flink(monkeypatch):
    """(FakeFlinkRest, a runner of its cluster that runs nothing)."""
    fake = fakes.FakeFlinkRest()
    with fakes.job_server(["flink_master"]) as endpoint, fake.serving() as address:
        flags = [
            "--runner=PortableRunner",
            f"--job_endpoint={endpoint}",
            "--environment_type=LOOPBACK",
        ]
        yield fake, runner.choose([*flags, f"--flink_master={address}"])


def _run_on(chosen: runner.Runner, run, output: str = "/out/My Faces") -> dict:
    def build(pipeline: beam.Pipeline) -> None:
        pipeline.run = run

    return chosen.run(build, Progress("things", lambda: 0), output)


def _name_of_job(chosen: runner.Runner) -> str:
    return chosen.options.view_as(GoogleCloudOptions).job_name


def test_a_job_is_named_by_its_output(flink):
    _, chosen = flink
    with pytest.raises(RunError):
        _run_on(chosen, lambda: FakeResult("FAILED"))
    assert re.fullmatch(r"facemill-my-faces-[0-9a-f]{12}", _name_of_job(chosen))


def test_a_flag_may_name_the_job(capsys):
    chosen = runner.choose(["--job_name=mine"])
    _run_on(chosen, lambda: FakeResult("DONE"))
    assert _name_of_job(chosen) == "mine"


class FakeResult:
    """What Beam returns for a submitted job.

    Args:
        state: of its end, or an error that waiting for it raises.
    """

    def __init__(self, state: str | BaseException) -> None:
        self.state = state

    def wait_until_finish(self) -> str:
        if isinstance(self.state, BaseException):
            raise self.state
        return self.state

    def cancel(self) -> None:
        self.state = "CANCELLED"


def test_a_second_job_of_an_output_is_not_submitted(flink):
    fake, chosen = flink
    _run_on(chosen, lambda: FakeResult("DONE"))
    name = _name_of_job(chosen)
    fake.jobs = {("a1", name): "RUNNING", ("b2", "other"): "RUNNING"}
    submitted = []
    with pytest.raises(UsageError) as refused:
        _run_on(chosen, lambda: submitted.append(1))
    assert not submitted
    assert f"but {name} still runs on Flink at http://localhost:" in str(refused.value)
    assert "/jobs/a1?mode=cancel'." in str(refused.value)
    fake.jobs["a1", name] = "FAILED"
    _run_on(chosen, lambda: FakeResult("DONE"))


def test_an_interrupt_cancels_the_job_on_flink(flink, capsys):
    fake, chosen = flink

    def run() -> FakeResult:
        fake.jobs["a1", _name_of_job(chosen)] = "RUNNING"
        return FakeResult(KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        _run_on(chosen, run)
    assert list(fake.jobs.values()) == ["CANCELED"]
    assert f"facemill: The job {_name_of_job(chosen)} on Flink at " in capsys.readouterr().err


def test_a_signal_cancels_the_job(flink, capsys):
    fake, chosen = flink

    def run() -> FakeResult:
        # It comes while the job is submitted, and is heeded after that.
        os.kill(os.getpid(), signal.SIGTERM)
        fake.jobs["a1", _name_of_job(chosen)] = "RUNNING"
        return FakeResult("DONE")

    with pytest.raises(KeyboardInterrupt):
        _run_on(chosen, run)
    assert list(fake.jobs.values()) == ["CANCELED"]


def test_a_local_run_leaves_signals_and_job_alone(capsys):
    with pytest.raises(KeyboardInterrupt):
        _run_on(runner.choose([]), lambda: FakeResult(KeyboardInterrupt()))
    assert "job" not in capsys.readouterr().err


def test_a_job_that_was_canceled_is_one_sentence(flink):
    for state in ("CANCELLED", RuntimeError("Pipeline a failed in state CANCELLED: no error")):
        with pytest.raises(RunError, match="PortableRunner, but it was canceled; run the same"):
            _run_on(flink[1], lambda state=state: FakeResult(state))


def test_a_pool_without_facemill_is_named(monkeypatch):
    with fakes.job_server() as endpoint, fakes.pool() as pool:
        flags = [
            "--runner=PortableRunner",
            f"--job_endpoint={endpoint}",
            "--environment_type=LOOPBACK",
        ]
        flags += ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
        report = RuntimeError("ModuleNotFoundError: No module named 'facemill'")
        with pytest.raises(RunError, match=f"but the worker pool at {pool} has no facemill; "):
            _run_on(runner.choose(flags), lambda: FakeResult(report))

"""What becomes of a remote job when its launcher is interrupted."""

import os
import signal
import threading

import grpc
import pytest
from apache_beam.runners.runner import PipelineState

from facemill.pipelines.common import cancel
from facemill.pipelines.common.cancel import Interrupts, cancel_job
from facemill.pipelines.common.flink import FlinkRest
from tests.pipelines.common import fakes

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_a_signal_interrupts(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), Interrupts().caught():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@BOTH
def test_a_signal_waits_until_the_job_is_submitted(number, capsys):
    steps = []

    def run() -> None:
        with Interrupts().caught() as interrupts:
            with interrupts.submitting():
                os.kill(os.getpid(), number)
                steps.append("submitted")
            steps.append("waited for")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert steps == ["submitted"]
    assert "is canceled once it is submitted" in capsys.readouterr().err


def test_a_second_signal_does_not_wait():
    steps = []

    def run() -> None:
        with Interrupts().caught() as interrupts, interrupts.submitting():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("submitted")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert steps == []


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts().caught():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_signals_are_not_caught_in_threads():
    caught = []

    def run() -> None:
        with Interrupts().caught():
            caught.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert caught == [before]


class FakeError(grpc.RpcError):
    """A job server that does not answer."""


class FakeResult:
    """What Beam returns for a submitted job.

    Args:
        state: of the job when it was canceled.
        error: that canceling raises.
    """

    _job_id = "job-001"

    def __init__(self, state=PipelineState.CANCELLED, error: Exception | None = None) -> None:
        self.state = PipelineState.RUNNING
        self._then, self._error = state, error

    def cancel(self) -> None:
        if self._error is not None:
            raise self._error
        self.state = self._then


def test_a_job_is_canceled_by_its_runner():
    with fakes.job_server() as endpoint:
        sentence = cancel_job(FakeResult(), "PortableRunner", "name", endpoint, None)
    assert sentence == f"The job job-001 on PortableRunner at {endpoint} was canceled."


def test_a_job_without_a_job_server_is_canceled():
    class FakeDataflow(FakeResult):
        def job_id(self) -> str:
            return "2026-11-28_x"

    sentence = cancel_job(FakeDataflow(), "DataflowRunner", "name", None, None)
    assert sentence == "The job 2026-11-28_x on DataflowRunner was canceled."


def test_a_job_that_goes_on_is_named(monkeypatch):
    monkeypatch.setattr(cancel, "_SECONDS_TO_END", 0.05)
    result = FakeResult(PipelineState.RUNNING)
    sentence = cancel_job(result, "DataflowRunner", "name", None, None)
    assert sentence == (
        "The job job-001 on DataflowRunner was canceled but still runs; see there that it ends."
    )


@pytest.mark.parametrize("error", [FakeError(), RuntimeError("no"), NotImplementedError()])
def test_a_job_that_cannot_be_canceled_is_named(error):
    sentence = cancel_job(FakeResult(error=error), "Runner", "name", None, None)
    assert sentence == (
        f"The job job-001 may run on, since Runner does not cancel it ({type(error).__name__}); "
        "cancel it there."
    )


def test_a_job_server_that_is_gone_is_said():
    endpoint = f"localhost:{fakes.closed_port()}"
    sentence = cancel_job(FakeResult(), "Runner", "name", endpoint, None)
    assert sentence.startswith(f"The job job-001 may run on, since Runner at {endpoint} does not")


def test_a_job_of_a_cluster_of_unknown_address_may_run_on():
    with fakes.job_server(["flink_master"]) as endpoint:
        sentence = cancel_job(FakeResult(), "PortableRunner", "name", endpoint, None)
    assert sentence.startswith("The job name may run on in the cluster, which the job server at ")
    assert "--flink_master" in sentence


def test_an_interrupted_submission_is_said():
    assert cancel_job(None, "Runner", "name", None, None) == (
        "It is not known whether Runner has the job name; look for it there and cancel it."
    )


@pytest.fixture
def flink() -> fakes.FakeFlinkRest:
    fake = fakes.FakeFlinkRest()
    fake.jobs = {("a1", "name"): "RUNNING", ("b2", "other"): "RUNNING", ("c3", "name"): "FINISHED"}
    return fake


@pytest.mark.parametrize("result", [None, FakeResult(), FakeResult(error=FakeError())])
def test_a_job_on_flink_is_canceled_for_real(flink, result):
    with flink.serving() as address:
        rest = FlinkRest(f"http://{address}")
        sentence = cancel_job(result, "PortableRunner", "name", "localhost:1", rest)
    assert sentence == f"The job name on Flink at http://{address} was canceled."
    assert [one for one in flink.requests if one.startswith("PATCH")] == [
        "PATCH /jobs/a1?mode=cancel"
    ]
    assert flink.jobs["b2", "other"] == "RUNNING"


def test_a_job_on_flink_that_goes_on_is_named(flink, monkeypatch):
    monkeypatch.setattr(cancel, "_SECONDS_TO_END", 0.05)
    flink.cancels = False
    with flink.serving() as address:
        rest = FlinkRest(f"http://{address}")
        sentence = cancel_job(None, "FlinkRunner", "name", None, rest)
    assert sentence == (
        f"The job name may run on, since Flink at http://{address} does not cancel it; cancel it "
        f"by curl -X PATCH 'http://{address}/jobs/a1?mode=cancel'."
    )


def test_flink_that_does_not_answer_is_said():
    rest = FlinkRest(f"http://localhost:{fakes.closed_port()}")
    sentence = cancel_job(None, "FlinkRunner", "name", None, rest)
    assert "may run on, since Flink at http://localhost:" in sentence
    assert "/jobs/ID?mode=cancel" in sentence


def test_a_job_that_flink_does_not_run_is_not_called_canceled(flink):
    with flink.serving() as address:
        sentence = cancel_job(None, "FlinkRunner", "absent", None, FlinkRest(f"http://{address}"))
    assert sentence.startswith("No job absent runs on Flink at ")

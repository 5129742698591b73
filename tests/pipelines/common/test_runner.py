"""Choosing a runner, and what a person sees of its failures."""

import io
import logging
import tempfile
import threading

import apache_beam as beam
import grpc
import pytest

from facemill.pipelines.common import runner
from facemill.pipelines.common.progress import Progress
from facemill.transforms.core.errors import (
    FacemillError,
    NotSharedError,
    ParameterError,
    RunError,
    UsageError,
    naming,
)
from facemill.transforms.dataset.tfrecord import DamagedError
from tests.pipelines.common import fakes


def test_the_local_runner_is_the_default_and_has_one_name():
    assert runner.choose([]).name == "FnApiRunner"
    assert runner.choose(["--runner=FnApiRunner"]).name == "FnApiRunner"
    path = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    assert runner.choose([f"--runner={path}"]).name == "FnApiRunner"
    # As Beam takes it.
    assert runner.choose(["--runner=fnapi"]).name == "FnApiRunner"


@pytest.mark.parametrize(
    ("flags", "here"),
    [
        ([], True),
        (["--direct_num_workers=2"], True),
        (["--direct_running_mode=multi_processing"], False),
        (["--direct_running_mode=multi_threading"], True),
        (["--runner=PortableRunner", "--job_endpoint=embed"], False),
    ],
)
def test_a_runner_knows_whether_steps_run_in_this_process(flags, here):
    assert runner.choose(flags).is_here == here


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--bogus"], "got --bogus"),
        (["--bogus=3", "--runner=FnApiRunner"], "got --bogus=3"),
        (["stray"], "got stray"),
        (["--runne", "FnApiRunner"], "got --runne"),
        (["--runner"], "--runner: expected one argument"),
        (["--direct_num_workers=two"], "--direct_num_workers: invalid int value: 'two'"),
        (["--runner=DaskRunner"], "--runner must not be DaskRunner"),
        (["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"], "loses data"),
        (["--runner=NoSuchRunner"], "got NoSuchRunner: Unexpected pipeline runner"),
        (["--runner=no.such.Runner"], "No module named 'no'"),
        (["--runner=dataflow", "--project=p"], "--region must be the region of the job"),
        (["--runner=FLINKRUNNER", "--flink_master=localhost:1"], "--flink_master must be where"),
        (["--runner=DataflowRunner"], "--project must be the Google Cloud project"),
        (["--runner=DataflowRunner", "--project=p"], "--region must be the region of the job"),
        (["--runner=PortableRunner", "--job_endpoint=localhost:1"], "got localhost:1"),
        (["--runner=PortableRunner", "--job_endpoint=localhost:99999"], "got localhost:99999"),
    ],
)
def test_flags_that_cannot_be_used_are_refused_in_one_sentence(capfd, flags, message):
    with pytest.raises(UsageError) as refused:
        runner.choose(flags)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    # Beam's own parser would print two hundred lines of usage.
    assert capfd.readouterr() == ("", "")


def test_a_job_server_that_answers_is_accepted():
    with fakes.job_server() as endpoint:
        flags = [f"--job_endpoint={endpoint}", "--environment_type=LOOPBACK"]
        chosen = runner.choose(["--runner=portable", *flags])
    assert chosen.name == "PortableRunner"


def _run(build) -> dict:
    return runner.choose([]).run(build, Progress("things", lambda: 0), "/out")


def test_a_run_leaves_no_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _run(lambda pipeline: pipeline | beam.Create([1]))
    assert not list(tmp_path.iterdir())


def test_a_run_reports_its_runner(capsys):
    run_info = _run(lambda pipeline: pipeline | beam.Create([1, 2]))
    assert (run_info["runner"], run_info["beam"]) == ("FnApiRunner", beam.__version__)
    assert run_info["seconds"] >= 0
    assert capsys.readouterr().err == "runner: FnApiRunner\n"


def _fail(message: str):
    def fail(element: int) -> None:
        raise RunError(message)

    return lambda pipeline: pipeline | beam.Create([1]) | beam.Map(fail)


def test_a_failure_in_a_worker_is_one_sentence(caplog):
    with pytest.raises(RunError) as failed:
        _run(_fail("A shard must be whole, but it is cut; write it again."))
    assert "Traceback" not in caplog.text
    assert str(failed.value) == "A shard must be whole, but it is cut; write it again."


# A worker's failure as Prism, Flink and Beam's own worker processes report it.
_REPORTS = [
    "bundle inst003 stage-004 failed:Traceback (most recent call last):\n"
    '  File "worker.py", line 1, in process\n'
    "{} [while running 'ref_AppliedPTransform_Read_3']\n",
    "java.lang.RuntimeException: Error received from SDK harness for instruction 4: Traceback\n"
    "  File \"worker.py\", line 1, in process\n{} [while running 'Read/ParDo(_Scan)']\n\n"
    "\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.handle(X.java:1)\n"
    "Caused by: java.lang.RuntimeException: Error: something else\n",
    'Traceback (most recent call last):\n  File "x.py"\n{}\n',
]
_LONG = f"--output must be on storage, but /{'x' * 400} is not there; mount it."


@pytest.mark.parametrize("report", _REPORTS)
@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (RunError, RunError),
        (UsageError, UsageError),
        (DamagedError, RunError),
        (NotSharedError, RunError),
        (ParameterError, UsageError),
    ],
)
def test_the_sentence_of_a_worker_s_error_is_kept(report, raised, kind):
    def build(pipeline):
        words = f"{raised.__module__}.{raised.__name__}: {_LONG}"
        raise_at_run(pipeline, RuntimeError(report.format(words)))

    with pytest.raises(kind) as failed:
        _run(build)
    assert type(failed.value) is kind
    assert str(failed.value) == _LONG


def _lose_the_output(element: int) -> None:
    raise NotSharedError("/out/x", "node7")


def test_a_failure_in_a_worker_keeps_its_kind_and_its_values():
    with pytest.raises(NotSharedError) as failed, naming({"output": "--output"}):
        _run(lambda pipeline: pipeline | beam.Create([1]) | beam.Map(_lose_the_output))
    assert (failed.value.path, failed.value.machine) == ("/out/x", "node7")
    assert str(failed.value).startswith("--output must be on storage that all workers see")


def test_an_error_that_beam_recreates_keeps_its_sentence(monkeypatch):
    monkeypatch.setattr(FacemillError, "_tagged_with_step", False)
    with pytest.raises(RunError) as failed, naming({"output": "--output"}):
        _run(lambda pipeline: pipeline | beam.Create([1]) | beam.Map(_lose_the_output))
    assert type(failed.value) is RunError
    assert str(failed.value).startswith("--output must be on storage that all workers see")
    assert str(failed.value).endswith("or give another path.")


@pytest.mark.slow
def test_a_failure_in_a_process_of_the_runner_names_the_flag():
    chosen = runner.choose(["--direct_running_mode=multi_processing", "--direct_num_workers=1"])

    def build(pipeline) -> None:
        _ = pipeline | beam.Create([1]) | beam.Map(_lose_the_output)

    with pytest.raises(RunError) as failed, naming({"output": "--output"}):
        chosen.run(build, Progress("things", lambda: 0), "/out")
    assert str(failed.value) == (
        "--output must be on storage that all workers see at the same path, but /out/x is not "
        "there on node7; mount it on every worker or give another path."
    )


def raise_at_run(pipeline: beam.Pipeline, error: Exception) -> None:
    def run() -> None:
        raise error

    pipeline.run = run


class _Unavailable(grpc.RpcError, grpc.Call):
    """As grpc raises it: its text is a dump of many lines."""

    def __init__(self) -> None:
        super().__init__()

    def __str__(self) -> str:
        return '<Rendezvous:\n\tstatus = UNAVAILABLE\n\tdetails = "Socket closed"\n>'

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "Socket\nclosed."

    add_callback = cancel = initial_metadata = is_active = time_remaining = trailing_metadata = None


def test_a_job_server_that_dies_is_reported_in_one_sentence():
    with pytest.raises(RunError, match=r"does not any more \(UNAVAILABLE: Socket closed\); see"):
        _run(lambda pipeline: raise_at_run(pipeline, _Unavailable()))


def test_the_thread_that_watches_the_job_shows_no_traceback(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(threading, "excepthook", lambda failed: shown.append(failed.exc_type))

    def build(pipeline):
        def watch(error: Exception) -> None:
            raise error

        def run():
            for error in (_Unavailable(), KeyError("a fault")):
                args = (error,)
                threading.Thread(target=watch, args=args, name="wait_until_finish_read").start()
            raise _Unavailable

        pipeline.run = run

    with pytest.raises(RunError, match="does not any more"):
        _run(build)
    assert shown == [KeyError]
    assert "Traceback" not in capsys.readouterr().err


def test_a_workers_traceback_is_not_logged_but_other_messages_are(caplog):
    report = _REPORTS[0].format("ValueError: of no use")

    def build(pipeline):
        def run():
            # As Beam logs the messages of a portable runner.
            logging.log(logging.ERROR, "%s", report)
            logging.log(logging.WARNING, "%s", "little memory is left")
            raise RuntimeError(report)

        pipeline.run = run

    with pytest.raises(RunError, match="but it failed: ValueError: of no use"):
        _run(build)
    assert [record.getMessage() for record in caplog.records] == ["little memory is left"]
    logging.error(report)
    assert len(caplog.records) == 2


def test_an_interrupt_is_raised_even_if_the_job_cannot_be_canceled():
    class Result:
        def wait_until_finish(self):
            raise KeyboardInterrupt

        def cancel(self):
            raise _Unavailable

    def build(pipeline):
        pipeline.run = Result

    with pytest.raises(KeyboardInterrupt):
        _run(build)


@pytest.mark.parametrize("kind", [TypeError, KeyError, AttributeError, ZeroDivisionError])
def test_a_failure_of_any_kind_is_one_sentence(kind):
    def fail(element: int) -> None:
        raise kind("of no use")

    with pytest.raises(RunError, match=r"but it failed: .*of no use.*; mend that") as failed:
        _run(lambda pipeline: pipeline | beam.Create([1]) | beam.Map(fail))
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_stack_of_a_failure_is_shown_with_facemill_debug(monkeypatch, capsys, wanted):
    def fail(element: int) -> None:
        raise TypeError("of no use")

    monkeypatch.setenv("FACEMILL_DEBUG", "1" if wanted else "")
    with pytest.raises(RunError, match="FACEMILL_DEBUG=1 to see where it failed"):
        _run(lambda pipeline: pipeline | beam.Create([1]) | beam.Map(fail))
    assert ("in fail" in capsys.readouterr().err) == wanted


def test_a_failure_without_a_text_is_one_sentence():
    def fail(element: int) -> None:
        raise MemoryError

    with pytest.raises(
        RunError, match="must run to its end on FnApiRunner, but it failed"
    ) as failed:
        _run(lambda pipeline: pipeline | beam.Create([1]) | beam.Map(fail))
    assert "\n" not in str(failed.value)


def test_progress_goes_to_a_log_in_lines(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("facemill.pipelines.common.progress._SECONDS_IN_A_LOG", 0.01)
    counted = iter(range(1_000, 1_000_000))
    with Progress("images read", lambda: next(counted)) as progress:
        while not stream.getvalue().count("\n"):
            progress._done.wait(0.01)
    # The first count was made when the block began.
    assert stream.getvalue().startswith("images read: 1,001 (")

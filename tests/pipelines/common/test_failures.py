"""One sentence from what runners report of failures."""

import logging

import pytest

from facemill.pipelines.common import failures
from facemill.transforms.core.same_version import installed_version

# What Flink's job server of Beam reports, with stacks of Java.
JAVA = """java.util.concurrent.ExecutionException: org.apache.flink.util.FlinkException: Job failed
\tat java.base/java.util.concurrent.CompletableFuture.reportGet(CompletableFuture.java:396)
\tat org.apache.beam.runners.flink.FlinkPipelineRunner.run(FlinkPipelineRunner.java:98)
\tat org.apache.beam.runners.jobsubmission.JobInvocation.lambda$run$0(JobInvocation.java:120)
Caused by: org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTime
\tat org.apache.flink.runtime.executiongraph.failover.Handler.handle(Handler.java:219)
\t... 5 more
{}
\tat org.apache.beam.vendor.grpc.v1p69p0.io.grpc.stub.ClientCalls.call(ClientCalls.java:277)
\t... 12 more
Suppressed: java.lang.InterruptedException
\t\tat java.base/java.lang.Object.wait(Native Method)
]
"""
HARNESS = "Error received from SDK harness for instruction 4: Traceback (most recent call last):"
STEP = """  File "/env/lib/worker.py", line 1, in process
    return self.do(value)
           ^^^^^^^^^^^^^^
{} [while running 'ScanImages/ParDo(_Scan)-ptransform-12']
"""


@pytest.mark.parametrize(
    ("report", "cause"),
    [
        (
            JAVA.format("Caused by: java.io.IOException: Insufficient number of network buffers"),
            "IOException: Insufficient number of network buffers",
        ),
        (
            JAVA.format(f"Caused by: java.lang.RuntimeException: {HARNESS}\n")
            + STEP.format("ValueError: of no use"),
            "ValueError: of no use",
        ),
        # A step's error is worth more than what Java says about it afterward.
        (
            STEP.format("OSError: [Errno 28] No space left on device")
            + JAVA.format("Caused by: java.lang.IllegalStateException: Bundle was not closed"),
            "OSError: [Errno 28] No space left on device",
        ),
        (
            JAVA.format(
                "Caused by: java.lang.RuntimeException: java.io.FileNotFoundException: /a (No file)"
            ),
            "FileNotFoundException: /a (No file)",
        ),
        (JAVA.format("Caused by: java.lang.OutOfMemoryError"), "OutOfMemoryError"),
        ("Pipeline job-1_a failed in state FAILED: out of slots\n]", "out of slots"),
        ("bundle inst003 stage-004 failed:panic: no worker\n", "panic: no worker"),
        ("java.lang.NullPointerException\n\tat org.apache.X.y(X.java:3)", "NullPointerException"),
        ("MemoryError [while running 'Scan']", "MemoryError"),
        ("]", "RuntimeError"),
        ("", "RuntimeError"),
        ("\tat org.apache.flink.X.y(X.java:3)\n]\n}", "RuntimeError"),
        ("the slots\nare taken.", "are taken"),
    ],
)
def test_the_cause_is_one_line_that_says_something(report, cause):
    assert failures.cause(RuntimeError(report)) == cause


def test_a_long_cause_is_cut():
    assert len(failures.cause(ValueError("word " * 200))) <= 300


@pytest.mark.parametrize(
    "report",
    [
        "Pipeline job-001 failed in state CANCELLED: unknown error",
        JAVA.format("Caused by: org.apache.flink.runtime.client.JobCancellationException: gone"),
    ],
)
def test_a_canceled_job_is_one_sentence(report):
    assert str(failures.as_sentence(RuntimeError(report), "PortableRunner", "a worker")) == (
        "The job must run to its end on PortableRunner, but it was canceled; run the same command "
        "again, which goes on or starts again."
    )


def test_a_worker_s_call_that_was_canceled_is_no_canceled_job():
    report = JAVA.format("Caused by: io.grpc.StatusRuntimeException: CANCELLED: client cancelled")
    message = str(failures.as_sentence(RuntimeError(report), "FlinkRunner", "a worker"))
    assert "but it failed: StatusRuntimeException: CANCELLED: client cancelled; mend" in message


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        ("facemill", f"has no facemill; install facemill {installed_version()} in the environment"),
        (
            "facemill.transforms.news",
            "has no module 'facemill.transforms.news' in its version of facemill; install "
            f"facemill {installed_version()} in",
        ),
        ("my_sources.of_mine", "has no module 'my_sources.of_mine'; install 'my_sources' in"),
        ("cv2", "has no module 'cv2'; install 'cv2' in the environment of every worker"),
    ],
)
def test_a_pool_that_lacks_a_package_is_named(module, missing):
    report = JAVA.format("") + STEP.format(f"ModuleNotFoundError: No module named '{module}'")
    error = failures.as_sentence(RuntimeError(report), "PortableRunner", "the pool at node7:50000")
    assert f"but the pool at node7:50000 {missing}" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("text", [JAVA.format(""), STEP.format("ValueError: no")])
def test_stacks_are_not_logged(text, caplog):
    with failures.without_tracebacks():
        logging.error(text)
        logging.warning("at last (a message)")
    assert [record.getMessage() for record in caplog.records] == ["at last (a message)"]

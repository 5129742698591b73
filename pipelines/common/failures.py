"""Turns what a runner reports of a failed job into an error of one sentence."""

import logging
import os
import re
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from facemill.transforms.core.errors import FacemillError, RunError, UsageError
from facemill.transforms.core.same_version import installed_version

# An environment variable: if set, the stack of an unexpected failure is shown.
DEBUG = "FACEMILL_DEBUG"

# Beam's name of the thread that reads a job's messages.
_WATCHER = "wait_until_finish_read"

# Beam appends this to the text of an error that a step raised.
_STEP = r"(?: \[while running '[^']*'\])*"

# The name of an error, perhaps with its package: "ValueError", "java.io.IOException".
_KIND = r"(?:[A-Za-z_][\w$]*\.)*[A-Z][\w$]*(?:Error|Exception|Failure|Interrupt|Throwable)"
_NAMED = re.compile(rf"(?:^|\s)(?:{_KIND}(?:: |:?$| \[)|Error: )")
# All names of errors before a text: Java writes one for each error around the innermost.
_KINDS = re.compile(rf"^(?:Caused by: )?(?:{_KIND}(?:: |:?$))*(?P<last>{_KIND})(?:: |:?$)")
_PACKAGE = re.compile(r"^(?:[A-Za-z_][\w$]*\.)+(?=[A-Z])")
# Lines of a stack in Java or Python, or between two of them.
_STACK = re.compile(
    r"at [\w.$/<>@-]+\(.*\)$|\.\.\. \d+ (?:more|common frames omitted)|File \".*\", line \d+"
    r"|Traceback \(most recent call last\)|During handling of the above exception"
    r"|The above exception was the direct cause|Suppressed: "
)
# What runners write before a cause and is none.
_WRAPPER = re.compile(
    r"(?:Error received from SDK harness for instruction [\w-]+|bundle \S+ \S+ failed"
    r"|Pipeline \S+ failed in state \w+|Job (?:execution )?failed|Recovery is suppressed by .*"
    r"|Traceback \(most recent call last\))(?:[:.]\s*|$)"
)
# A text that says something has two letters or digits in a row.
_SAYS = re.compile(r"[^\W_]{2}")
_MODULE = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '([\w.]+)'")
_MOST = 300
# A worker may report the bytes of an image in one line.
_LONGEST = 4000


@contextmanager
def failures_in_sentences(runner: str, where: str) -> Iterator[None]:
    """Reports what fails while a pipeline runs in the block as an error of one sentence.

    Args:
        runner: its name.
        where: the machines that run the steps, see `as_sentence`.

    Raises:
        FacemillError: a worker raised it; it keeps the worker's sentence.
        RunError: the runner reports another failure, or does not answer any more.
    """
    with without_tracebacks():
        try:
            yield
        # Runners raise whatever a worker raised, and errors of their own.
        except Exception as error:  # noqa: BLE001 - reported below, in a sentence
            if os.environ.get(DEBUG):
                traceback.print_exception(error)
            raise as_sentence(error, runner, where) from None


def as_sentence(error: Exception, runner: str, where: str) -> FacemillError:
    """The failure of a job as an error of one sentence.

    Args:
        error: what the runner raised.
        runner: its name.
        where: the machines that run the steps, such as "the worker pool at node7:50000".
    """
    own = _own_words(error) or _missing_package(error, where)
    if own is not None:
        return own
    if isinstance(error, grpc.RpcError):
        return RunError(
            f"The runner must answer until the job ends, but {runner} does not any more "
            f"({_rpc_cause(error)}); see its log, stop the job if it still runs, and run the "
            "same command again."
        )
    if was_canceled(error):
        return canceled(runner)
    return RunError(
        f"The job must run to its end on {runner}, but it failed: {cause(error)}; mend "
        f"that and run the same command again, or with {DEBUG}=1 to see where it failed."
    )


def canceled(runner: str) -> RunError:
    """The error of a job that somebody canceled."""
    return RunError(
        f"The job must run to its end on {runner}, but it was canceled; run the same command "
        "again, which goes on or starts again."
    )


def was_canceled(error: Exception) -> bool:
    """Whether a runner reports with this error that the job was canceled."""
    text = str(error)
    # Beam: "Pipeline job-001 failed in state CANCELLED: ...".
    return bool(
        re.search(r"failed in state CANCELL(?:ED|ING)\b", text)
        or re.search(r"org\.apache\.flink\.[\w.]*JobCancellationException", text)
    )


def cause(error: BaseException) -> str:
    """What a runner's report says about the cause: one line, never empty.

    Java and Python write the innermost error last. So this is the last error that a step raised,
    else the last line with an error and a text, else the last error without a text, else the last
    line that is no part of a stack, else the kind of the error.
    """
    lines = [line.strip()[:_LONGEST] for line in str(error).splitlines()]
    lines = [line for line in lines if _SAYS.search(line) and not _STACK.match(line)]
    of_steps = [line for line in lines if "[while running '" in line]
    named = [line for line in lines if _NAMED.search(line) or line.startswith("Caused by: ")]
    found = [_parts(line) for group in (lines, named, of_steps) for line in group]
    for kind, text in reversed(found):
        if _SAYS.search(text):
            return ": ".join(filter(None, (kind, text)))[:_MOST].rstrip(".; ")
    return next((kind for kind, _ in reversed(found) if kind), type(error).__name__)


def _parts(line: str) -> tuple[str, str]:
    """The name of a line's innermost error without its package, if it has one, and its text."""
    text, kind = re.sub(rf"{_STEP}\s*$", "", line), ""
    while True:
        before = text
        text = _WRAPPER.sub("", text, count=1) if _WRAPPER.match(text) else text
        match = _KINDS.match(text)
        if match is not None:
            kind, text = _PACKAGE.sub("", match["last"]), text[match.end() :]
        if text == before:
            return kind, " ".join(text.split()).lstrip(" ;:.,])}").rstrip(" ;:.,[({")


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


def _missing_package(error: Exception, where: str) -> RunError | None:
    """The error of workers that lack facemill or another package; None for other failures."""
    found = _MODULE.findall(str(error))
    if not found:
        return None
    package, _, inner = found[-1].partition(".")
    missing, wanted = f"module {found[-1]!r}", f"{package!r}"
    if package == "facemill":
        # Versions differ in their modules.
        missing = f"{missing} in its version of facemill" if inner else "facemill"
        wanted = f"facemill {installed_version()}"
    return RunError(
        f"All workers must have the launcher's packages, but {where} has no {missing}; install "
        f"{wanted} in the environment of every worker and start the workers again."
    )


def _rpc_cause(error: grpc.RpcError) -> str:
    """Status code and details of a failed call, without the dump around them."""
    if not isinstance(error, grpc.Call):
        return cause(error)
    details = " ".join((error.details() or "").split())[:200].rstrip(".")
    return ": ".join(filter(None, (error.code().name, details)))


@contextmanager
def without_tracebacks() -> Iterator[None]:
    """Suppresses the tracebacks that Beam shows beside the error that it raises.

    Beam logs what a step raised and the messages of a portable runner, workers' tracebacks and
    Java's stacks among them. Its thread that watches the job shows another traceback when the job
    server dies.
    """
    before = threading.excepthook
    # Else Beam would add the root's handlers at its first message, without this filter.
    logging.basicConfig()
    handlers = list(logging.getLogger().handlers)

    def report(failed: threading.ExceptHookArgs) -> None:
        if not isinstance(failed.exc_value, grpc.RpcError):
            before(failed)

    threading.excepthook = report
    for handler in handlers:
        handler.addFilter(_has_no_stack)
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if thread.name == _WATCHER:
                # This thread may notice the end a moment later than the one that waits for the job.
                thread.join(1)
        threading.excepthook = before
        for handler in handlers:
            handler.removeFilter(_has_no_stack)


def _has_no_stack(record: logging.LogRecord) -> bool:
    if record.exc_info:
        return False
    return not any(_STACK.match(line.strip()) for line in record.getMessage().splitlines())

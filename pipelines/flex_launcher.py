"""What a Dataflow Flex Template launches: a job of one step, whose worker runs a command.

The launcher of a Flex Template wants the graph and an end, before any job has begun. A command of
facemill outlives its job: it checks what the workers wrote, and writes the manifest last. So the
template's own job is the machine that it runs on, and the command submits the real job from there.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, WorkerOptions

from facemill.pipelines import flex_parameters
from facemill.pipelines.common import dataflow, runner
from facemill.pipelines.common.flags import flags_of
from facemill.pipelines.common.options import from_arguments
from facemill.transforms.core.errors import FacemillError, RunError, UsageError, naming

# Set by deploy/dataflow/Dockerfile.
COMMAND, IMAGE = "FACEMILL_COMMAND", "FACEMILL_IMAGE"
# The job that the step submits needs a name of its own beside the template's.
_SUFFIX = "-work"
_TEMPLATE = "template_location"
_LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Launches the command that the environment names; returns the exit code.

    Args:
        arguments: words of the template's launcher, each `--name=value`.
    """
    try:
        launch(os.environ.get(COMMAND, ""), sys.argv[1:] if arguments is None else arguments)
    except FacemillError as error:
        print(f"facemill: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def launch(command: str, given: Sequence[str]) -> None:
    """Stages or submits the job that runs a command, and does not wait for it.

    Args:
        command: one of `flex_parameters.COMMANDS`.
        given: the command's parameters and Beam's options, each `--name=value`.

    Raises:
        UsageError: the command, a parameter or an option of Beam is wrong.
    """
    if command not in flex_parameters.COMMANDS:
        *others, last = flex_parameters.COMMANDS
        raise UsageError(
            f"{COMMAND} must be {', '.join(others)} or {last}, got {command!r}; build "
            "deploy/dataflow/Dockerfile with --build-arg COMMAND."
        )
    words, of_beam, template = _divided(command, given)
    with naming(flags_of(flex_parameters.parser_of(command))):
        own = runner.choose(of_beam, flex_parameters.paths_of(command, _options(command, words)))
    if not own.is_dataflow:
        raise UsageError(f"--runner must be {dataflow.NAME}, got {own.name}; give it.")
    passed = [one for one in of_beam if _name(one) != "job_name"]
    cloud = own.options.view_as(GoogleCloudOptions)
    # A command that waits for its job refuses it, so it is set after the checks.
    cloud.template_location = template
    if cloud.job_name:
        passed.append(f"--job_name={cloud.job_name}{_SUFFIX}")
    # One worker waits; the workers that were asked for are of the job that it submits.
    of_workers = own.options.view_as(WorkerOptions)
    of_workers.num_workers = of_workers.max_num_workers = 1
    pipeline = beam.Pipeline(options=own.options)
    # The step keeps its words, which name no file of this machine.
    _ = (
        pipeline
        | "Once" >> beam.Create([command])
        | f"Run {command}" >> beam.ParDo(RunCommand((*words, *passed)))
    )
    pipeline.run()


class RunCommand(beam.DoFn):
    """Runs commands of facemill, each to its end; yields nothing.

    Args:
        words: of the command line, after the command.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)

    def process(self, command: str) -> Iterator[None]:
        """Runs one command.

        Args:
            command: its name.

        Raises:
            RunError: it failed; what it printed is in the worker's log.
        """
        # A process of its own: a command catches signals, which only a main thread may.
        program = [sys.executable, "-m", "facemill.pipelines.cli", command, *self._words]
        last = "it said nothing"
        with subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                last = line.strip() or last
                _LOG.info(line.rstrip())
        if process.returncode:
            raise RunError(
                f"facemill {command} must end well, but it ended with exit code "
                f"{process.returncode}: {last}"
            )
        yield from ()


def _divided(command: str, given: Sequence[str]) -> tuple[list[str], list[str], str | None]:
    """The words of the command, those of Beam with the environment's image, and the template."""
    parser = flex_parameters.parser_of(command)
    known = {option for action in parser._actions for option in action.option_strings}
    words: list[str] = []
    of_beam: list[str] = []
    template = None
    for word in flex_parameters.words_of(command, given):
        if _name(word) == _TEMPLATE:
            template = word.partition("=")[2]
            continue
        (words if word.partition("=")[0] in known else of_beam).append(word)
    if os.environ.get(IMAGE) and "sdk_container_image" not in map(_name, of_beam):
        of_beam.append(f"--sdk_container_image={os.environ[IMAGE]}")
    unknown = runner.unknown_words(of_beam)
    if unknown:
        # The service refuses wrong parameters by the metadata: these are its launcher's own.
        print(
            f"facemill: neither facemill nor Beam takes {' '.join(unknown)}; left out.",
            file=sys.stderr,
        )
    return words, [word for word in of_beam if word not in unknown], template


def _options(command: str, words: Sequence[str]) -> object:
    """The options of a command.

    Raises:
        UsageError: one is wrong or missing.
    """
    given = flex_parameters.parser_of(command).parse_args(list(words))
    return from_arguments(flex_parameters.options_module(command).OPTIONS, given, is_local=False)


def _name(word: str) -> str:
    return word.removeprefix("--").partition("=")[0]

"""The command line: finds the command, checks its options, and only then imports its job."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from facemill.pipelines.common.flags import flags_of
from facemill.pipelines.common.lazy_import import import_quietly
from facemill.pipelines.common.local import is_local
from facemill.pipelines.common.options import add_arguments, from_arguments
from facemill.pipelines.common.status import Status, add_flag
from facemill.transforms.core.errors import FacemillError, UsageError, naming
from facemill.transforms.storage.stores.settings import take_flags

COMMANDS = (
    *("ingest", "train", "import-model", "score", "detect"),
    *("match", "enroll", "cluster", "compact", "evaluate", "synthesize", "demo"),
)


def module_of(command: str, name: str) -> str:
    """The full name of a module of a command.

    Args:
        command: one of COMMANDS.
        name: of the module in the command's folder.
    """
    return f"facemill.pipelines.{command.replace('-', '_')}.{name}"


class Parser(argparse.ArgumentParser):
    """Reports a wrong option in one sentence, without the usage block before it."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raises what is wrong.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{message}; see `{self.prog} --help`.")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Writes a help text; argparse itself would pass over an error of a closed pipe."""
        if message:
            (file or sys.stderr).write(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code (0 done, 1 the run failed, 2 wrong use)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _print_any_name()
    status = Status(given)
    try:
        code, message = _outcome(given, status)
    except Exception:
        status.end(1, "ended by an error of the program; its output has the traceback.")
        raise
    unwritten = status.end(code, message)
    for sentence in (message, unwritten):
        if sentence:
            print(f"facemill: {sentence}", file=sys.stderr)
    return code


def _outcome(given: list[str], status: Status) -> tuple[int, str]:
    """Runs a command; returns its exit code and the sentence of what ended it, or ""."""
    try:
        try:
            _run(given, status)
        except SystemExit:
            # argparse has printed a help text.
            sys.stdout.flush()
            raise
        # Output that cannot be written is reported here, not when the interpreter exits.
        sys.stdout.flush()
    except FacemillError as error:
        return error.exit_code, str(error)
    except KeyboardInterrupt:
        return 130, "interrupted; the same command goes on or starts again."
    except BrokenPipeError:
        # The reader of our output has gone (`| head`).
        _drop_output()
        return 1, ""
    except MemoryError:
        return 1, (
            "the run must fit into memory, but an allocation failed; give it more memory, or fewer "
            "--workers or a smaller --batch-size where the command has them."
        )
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return 1, (
            f"every file must be readable and writable, got {where}{error.strerror or error}; see "
            "to the disk and its permissions."
        )
    return 0, ""


def _print_any_name() -> None:
    """Lets names be printed that the locale cannot encode: as escapes, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Sends further output to /dev/null, so that Python does not complain of it as it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(given: list[str], status: Status) -> None:
    parser = Parser(
        prog="facemill",
        description="Batch face recognition: photos to datasets, models, embeddings, answers.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    # Only the named command's options are built; the overview needs each one's summary.
    chosen = next((word for word in given if not word.startswith("-")), None)
    names = (chosen,) if chosen in COMMANDS else COMMANDS
    for name in names:
        module = importlib.import_module(module_of(name, "options"))
        beam = "Unknown flags go to Beam's PipelineOptions." if module.TAKES_BEAM_OPTIONS else None
        subparser = subparsers.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=beam,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            allow_abbrev=False,
        )
        add_arguments(subparser, module.OPTIONS)
        add_flag(subparser)
    namespace, unknown = parser.parse_known_args(given)
    if namespace.version:
        from importlib import metadata

        print(f"facemill {metadata.version('facemill')}")
        return
    if namespace.command is None:
        if unknown:
            raise UsageError(f"unknown option {unknown[0]}; see `facemill --help`.")
        parser.print_help()
        return
    options_module = importlib.import_module(module_of(namespace.command, "options"))
    with naming(flags_of(subparsers.choices[namespace.command])):
        options = from_arguments(options_module.OPTIONS, namespace, is_local(unknown))
        status.begin(options)
        # Beam's flags for the stores reach the workers too, where a command has workers.
        rest = take_flags(unknown)
        if rest and not options_module.TAKES_BEAM_OPTIONS:
            raise UsageError(
                f"`facemill {namespace.command}` takes no option {rest[0]}; "
                f"see `facemill {namespace.command} --help`."
            )
        import_quietly(module_of(namespace.command, "job")).run(options, unknown)


if __name__ == "__main__":
    sys.exit(main())

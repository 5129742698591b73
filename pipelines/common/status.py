"""The status file of a run, for whatever watches a schedule: one small JSON object.

It says `running` from the first second on, so a run that was killed does not leave last night's
success behind.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from facemill.pipelines.common.flags import flag
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError

RUNNING, DONE, FAILED, REFUSED, INTERRUPTED = (
    *("running", "done", "failed", "refused", "interrupted"),
)
_STATES = {0: DONE, 1: FAILED, 2: REFUSED, 130: INTERRUPTED}
_PARAMETER = "status_file"
_MANIFEST, _RUN = "manifest.json", "run.json"


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--status-file`, which every command takes."""
    parser.add_argument(
        flag(_PARAMETER),
        metavar="FILE",
        help="write a small JSON file that says how the run goes: state (running, done, failed, "
        "refused or interrupted), exit_code, message, counts, seconds",
    )


class Status:
    """The status file of one run; does nothing if none is asked for.

    Args:
        given: words of the command line.
    """

    def __init__(self, given: Sequence[str]) -> None:
        # Read by hand: a command line that is refused has a status too.
        self._path = _value(given, flag(_PARAMETER))
        self._command = next((word for word in given if not word.startswith("-")), None)
        self._started = time.time()
        self._output: str | None = None

    def begin(self, options: Any) -> None:
        """Writes that the run has begun.

        Args:
            options: of the command, which say where it writes.

        Raises:
            UsageError: the file cannot be written.
        """
        if self._path is None:
            return
        output = getattr(options, "output", None)
        partition = getattr(options, "partition", None)
        self._output = storage.join(output, partition) if output and partition else output
        given, self._path = self._path, None
        path = storage.absolute(given, _PARAMETER)
        try:
            if not storage.is_remote(path):
                storage.make_folders(os.path.dirname(path))
            self._write(path, {"state": RUNNING})
        except OSError as error:
            raise UsageError(
                f"{flag(_PARAMETER)} must be a file that can be written, but {given} cannot "
                f"({error.strerror or error}); give another path."
            ) from None
        self._path = given

    def end(self, exit_code: int, message: str) -> str:
        """Writes how the run ended.

        Args:
            exit_code: of the process.
            message: the sentence that was printed, or "".

        Returns:
            A sentence if the file cannot be written, else "".
        """
        if self._path is None:
            return ""
        ended: dict[str, Any] = {
            "state": _STATES.get(exit_code, FAILED),
            "exit_code": exit_code,
            "message": message,
            "seconds": round(time.time() - self._started, 1),
            "output": self._output,
        }
        try:
            if exit_code == 0 and self._output is not None:
                ended |= _figures(storage.absolute(self._output, "output"))
            self._write(storage.absolute(self._path, _PARAMETER), ended)
        except (OSError, UsageError) as error:
            return f"the status file {self._path} could not be written ({error})."
        return ""

    def _write(self, path: str, more: dict[str, Any]) -> None:
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._started))
        content = {"command": self._command, "started": started, **more}
        storage.write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def _figures(output: str) -> dict[str, Any]:
    """What the files of the artifact say that a person on duty wants to see first."""
    found: dict[str, Any] = {}
    for name, keys in ((_MANIFEST, ("counts", "errors")), (_RUN, ("images_per_second",))):
        path = os.path.join(output, name)
        if storage.is_file(path):
            content = json.loads(storage.read_bytes(path))
            found |= {key: content[key] for key in keys if key in content}
    return found


def _value(given: Sequence[str], name: str) -> str | None:
    """The value of a flag in a command line, the last one if there are several."""
    found = None
    for index, word in enumerate(given):
        if word.startswith(f"{name}="):
            found = word.removeprefix(f"{name}=")
        elif word == name and index + 1 < len(given):
            found = given[index + 1]
    return found or None

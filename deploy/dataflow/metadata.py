"""Writes the metadata of the Flex Templates, one file for each command, from the command's flags.

usage: metadata.py [--check]. `make templates` writes them; --check only compares, and ends with 1
if a file is not what the flags give.
"""

import json
import sys
from pathlib import Path

from facemill.pipelines import flex_parameters

FOLDER = Path(__file__).with_name("metadata")


def text(command: str) -> str:
    """The file of a command."""
    return json.dumps(flex_parameters.metadata(command), indent=2, ensure_ascii=False) + "\n"


def path(command: str) -> Path:
    """Where the file of a command lies."""
    return FOLDER / f"{command}.json"


def stale() -> list[str]:
    """The commands whose file is missing or another, and files of no command."""
    found = [
        command
        for command in flex_parameters.COMMANDS
        if not path(command).is_file() or path(command).read_text("utf-8") != text(command)
    ]
    files = {one.stem for one in FOLDER.glob("*.json")}
    return found + sorted(files - set(flex_parameters.COMMANDS))


def main(arguments: list[str]) -> int:
    """Writes or checks the files; returns the exit code."""
    if arguments == ["--check"]:
        found = stale()
        for command in found:
            print(f"{path(command)} is not what the flags give; run `make templates`.")
        return 1 if found else 0
    FOLDER.mkdir(exist_ok=True)
    for command in flex_parameters.COMMANDS:
        path(command).write_text(text(command), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

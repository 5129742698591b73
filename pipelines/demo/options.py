"""Options of `facemill demo`."""

import argparse
import dataclasses

SUMMARY = "run the whole way on synthetic faces: ingest, train, score, evaluate"
TAKES_BEAM_OPTIONS = False


@dataclasses.dataclass(frozen=True)
class DemoOptions:
    """What the demo is to do.

    Attributes:
        output: directory of everything that it makes.
    """

    output: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    parser.add_argument("--output", required=True, help="directory of everything that it makes")


def from_arguments(namespace: argparse.Namespace) -> DemoOptions:
    """The options of parsed flags."""
    return DemoOptions(output=namespace.output)

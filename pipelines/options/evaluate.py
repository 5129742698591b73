"""Options of `facemill evaluate`."""

from __future__ import annotations

import argparse
import dataclasses

from transforms.errors import UsageError

SUMMARY = "Measure how well embeddings tell identities apart, by a benchmark's protocol."
TAKES_BEAM_OPTIONS = False

PROTOCOLS = ("lfw",)
MISSING = ("error", "reject")


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """What `facemill evaluate` is asked for.

    Attributes:
        embeddings: Directory of the embeddings artifact.
        pairs: Pairs file; whether it is View 1 or View 2 stands in its first line.
        output: Directory of the evaluation.
        protocol: Which one.
        threshold_pairs: Pairs file that gives the threshold; without it the pairs file's own
            folds do.
        missing: What becomes of a pair without embeddings. "error" by default, because a result
            on fewer images than the protocol names is another result.
    """

    embeddings: str
    pairs: str
    output: str
    protocol: str = "lfw"
    threshold_pairs: str | None = None
    missing: str = "error"

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            UsageError: One of them is not among its choices.
        """
        _check("--protocol", self.protocol, PROTOCOLS)
        _check("--missing", self.missing, MISSING)


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} must be {' or '.join(choices)}, got {value!r}; give one of them.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add = parser.add_argument
    add("--embeddings", required=True, help="directory that `facemill score` wrote")
    add("--protocol", default=EvaluateOptions.protocol, help=f"one of: {', '.join(PROTOCOLS)}")
    add("--pairs", required=True, help="pairs file, such as pairs.txt or pairsDevTest.txt of LFW")
    add(
        "--threshold-pairs",
        metavar="PAIRS",
        help="pairs file that gives the threshold, such as pairsDevTrain.txt; by default each "
        "fold's comes from the other folds",
    )
    add(
        "--missing",
        default=EvaluateOptions.missing,
        help="what a pair without embeddings is: error (stop) or reject (it never matches, and "
        "counts so)",
    )
    add("--output", required=True, help="directory to write")


def from_arguments(namespace: argparse.Namespace) -> EvaluateOptions:
    """Returns the checked options.

    Raises:
        UsageError: A flag is not among its choices.
    """
    return EvaluateOptions(
        embeddings=namespace.embeddings,
        pairs=namespace.pairs,
        output=namespace.output,
        protocol=namespace.protocol,
        threshold_pairs=namespace.threshold_pairs,
        missing=namespace.missing,
    )

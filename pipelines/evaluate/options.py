"""Options of `facemill evaluate`."""

import argparse
import dataclasses

SUMMARY = "measure how well embeddings tell identities apart, by a benchmark's protocol"
TAKES_BEAM_OPTIONS = False

PROTOCOLS = ("lfw",)
MISSING = ("error", "reject")


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """What one evaluation is to do.

    Attributes:
        embeddings: directory that `facemill score` wrote.
        pairs: pairs file; whether it is View 1 or View 2 stands in its first line.
        output: directory of the evaluation.
        protocol: one of PROTOCOLS.
        threshold_pairs: pairs file that gives the threshold; without it the pairs file's own
            folds do.
        missing: what becomes of a pair without embeddings, one of MISSING. "error" by default,
            because a result on fewer images than the protocol names is another result.
    """

    embeddings: str
    pairs: str
    output: str
    protocol: str = "lfw"
    threshold_pairs: str | None = None
    missing: str = "error"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    add = parser.add_argument
    add("--embeddings", required=True, help="directory that `facemill score` wrote")
    add(
        "--protocol",
        choices=PROTOCOLS,
        default=EvaluateOptions.protocol,
        help="benchmark whose rules are followed",
    )
    add("--pairs", required=True, help="pairs file, such as pairs.txt or pairsDevTest.txt of LFW")
    add(
        "--threshold-pairs",
        metavar="PAIRS",
        help="pairs file that gives the threshold, such as pairsDevTrain.txt; by default each "
        "fold's comes from the other folds",
    )
    add(
        "--missing",
        choices=MISSING,
        default=EvaluateOptions.missing,
        help="what a pair without embeddings is: an error, or a failure to acquire, which is "
        "rejected and counted so",
    )
    add(
        "--output",
        required=True,
        help="directory of the evaluation, new or left by a killed run",
    )


def from_arguments(namespace: argparse.Namespace) -> EvaluateOptions:
    """The options of parsed flags."""
    fields = dataclasses.fields(EvaluateOptions)
    return EvaluateOptions(**{field.name: getattr(namespace, field.name) for field in fields})

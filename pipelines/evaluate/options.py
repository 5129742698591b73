"""Options of `facemill evaluate`."""

import dataclasses

from facemill.pipelines.common.options import check
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option

SUMMARY = "measure how well embeddings tell identities apart, by a benchmark's protocol"
TAKES_BEAM_OPTIONS = False

PROTOCOLS = ("lfw",)
# Of `pairs`: every pair of the embeddings.
ALL = "all"
ERROR, REJECT = "error", "reject"


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """What one evaluation is to do."""

    embeddings: str = option(help="directory that `facemill score` wrote")
    # The first line of the file says whether it is View 1 or View 2.
    pairs: str = option(
        help="list of pairs: pairs.txt or pairsDevTest.txt of LFW, or a table of two paths and, if "
        "their folders do not name the identities, 1 or 0; all for every pair of the embeddings"
    )
    output: str = option(help="directory of the evaluation, new or left by a killed run")
    protocol: str = option("lfw", choices=PROTOCOLS, help="benchmark whose rules are followed")
    threshold_pairs: str | None = option(
        None,
        metavar="PAIRS",
        help="pairs file that gives the threshold, such as pairsDevTrain.txt; by default each "
        "fold's comes from the other folds",
    )
    model: str | None = option(
        None,
        help="model of the embeddings, for a warning about people that it was trained on; by "
        "default where scoring found it",
    )
    # An error by default: a result on fewer images than the protocol names is another result.
    missing: str = option(
        ERROR,
        choices=(ERROR, REJECT),
        help="what a pair without embeddings is: an error, or a failure to acquire, which is "
        "rejected and counted so",
    )

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        check(self)
        if self.pairs == ALL and self.threshold_pairs is not None:
            raise UsageError(
                "--threshold-pairs must go with a list of pairs, got it with --pairs all, which "
                "reports rates at every threshold; leave it out."
            )


OPTIONS = EvaluateOptions

"""Options of `facemill evaluate`."""

import dataclasses

from facemill.pipelines.common.job_options import workers_option
from facemill.pipelines.common.options import CheckedOptions
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option

SUMMARY = "measure how well embeddings tell identities apart, by a benchmark's protocol"
TAKES_BEAM_OPTIONS = True

LFW, PAIRS, BIN, TEMPLATES = "lfw", "pairs", "bin", "templates"
IDENTIFICATION, OPEN_SET, CLUSTERING = "identification", "open-set", "clustering"
PROTOCOLS = (LFW, PAIRS, BIN, TEMPLATES, IDENTIFICATION, OPEN_SET, CLUSTERING)
# The options that a protocol must have, and those that it may have.
_NEEDS = {
    LFW: ("pairs",),
    PAIRS: ("pairs",),
    BIN: ("pairs",),
    TEMPLATES: ("pairs", "list_file"),
    CLUSTERING: ("clusters",),
}
_MAY_HAVE = {
    LFW: ("threshold_pairs", "groups"),
    PAIRS: ("threshold_pairs", "groups"),
    BIN: ("groups",),
    IDENTIFICATION: ("list_file", "distractors", "seed"),
    OPEN_SET: ("list_file", "seed"),
}
_FLAGS = {
    "pairs": "--pairs",
    "list_file": "--list",
    "clusters": "--clusters",
    "threshold_pairs": "--threshold-pairs",
    "groups": "--groups",
    "distractors": "--distractors",
    "seed": "--seed",
}
# Of `pairs`: every pair of the embeddings.
ALL = "all"
ERROR, REJECT = "error", "reject"


@dataclasses.dataclass(frozen=True)
class EvaluateOptions(CheckedOptions):
    """What one evaluation is to do."""

    embeddings: str = option(help="directory that `facemill score` wrote")
    output: str = option(help="directory of the evaluation, new or left by a killed run")
    protocol: str = option(
        LFW,
        choices=PROTOCOLS,
        help="rules that are followed; lfw and pairs read any list of pairs",
    )
    # The first line of the file says whether it is View 1 or View 2.
    pairs: str | None = option(
        None,
        metavar="FILE",
        help="list of pairs: pairs.txt or pairsDevTest.txt of LFW, or a table of two paths and, if "
        "their folders do not name the identities, 1 or 0; all for every pair of the embeddings; "
        "with bin, insightface's file; with templates, two templates and 1 or 0",
    )
    list_file: str | None = option(
        None,
        flag="list",
        metavar="FILE",
        help="with templates: image, template and medium of each line; with identification and "
        "open-set, a table with the columns image_id and role (gallery or probe), without which "
        "gallery and probes are drawn",
    )
    threshold_pairs: str | None = option(
        None,
        metavar="PAIRS",
        help="pairs file that gives the threshold, such as pairsDevTrain.txt; by default each "
        "fold's comes from the other folds",
    )
    distractors: str | None = option(
        None,
        metavar="EMBEDDINGS",
        help="embeddings of strangers that join the gallery of identification, 10, 100, ... and "
        "then all of them",
    )
    clusters: str | None = option(
        None, help="directory that `facemill cluster` wrote, for the protocol clustering"
    )
    groups: str | None = option(
        None,
        metavar="FILE",
        help="table of image_id or identity, and group: error rates of pairs within each group",
    )
    seed: int | None = option(
        None, least=0, help="of the draw of gallery and probes without --list; by default 0"
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
        help="what an image without embedding is: an error, or a failure to acquire, which is "
        "rejected and counted so",
    )
    workers: int = workers_option(
        "threads that compare with --pairs all",
        "in this process or in each worker process of the runner that flags of Beam name",
    )

    @property
    def takes_all_pairs(self) -> bool:
        """Whether every pair of the embeddings is compared."""
        return self.pairs == ALL and self.protocol in (LFW, PAIRS)

    def __post_init__(self) -> None:
        """Checks each value that was given.

        Raises:
            UsageError: names the flag and what was got.
        """
        super().__post_init__()
        for name, flag in _FLAGS.items():
            if getattr(self, name) is not None and name not in _takes(self.protocol):
                fitting = [one for one in PROTOCOLS if name in _takes(one)]
                raise UsageError(
                    f"{flag} must go with --protocol {' or '.join(fitting)}, got it with "
                    f"{self.protocol}; leave it out."
                )
        if self.takes_all_pairs:
            for flag in ("threshold_pairs", "groups"):
                if getattr(self, flag) is not None:
                    raise UsageError(
                        f"{_FLAGS[flag]} must go with a list of pairs, got it with --pairs all, "
                        "which reports rates at every threshold; leave it out."
                    )
        if self.list_file is not None and self.seed is not None:
            raise UsageError(
                "--seed must go without --list, which leaves nothing to draw; leave it out."
            )

    def require_inputs(self) -> None:
        """Checks that the protocol has the files that it needs.

        Raises:
            UsageError: names the flag that is absent.
        """
        needs = _NEEDS.get(self.protocol, ())
        for name in needs:
            if getattr(self, name) is None:
                flags = " and ".join(_FLAGS[one] for one in needs)
                raise UsageError(
                    f"--protocol {self.protocol} must have {flags}, got no {_FLAGS[name]}; add it."
                )


def _takes(protocol: str) -> tuple[str, ...]:
    return (*_NEEDS.get(protocol, ()), *_MAY_HAVE.get(protocol, ()))


OPTIONS = EvaluateOptions

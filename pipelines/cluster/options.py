"""Options of `facemill cluster`."""

import dataclasses

from facemill.pipelines.common.scratch import scratch_option
from facemill.pipelines.common.search_options import SearchOptions
from facemill.transforms.core.fields import option
from facemill.transforms.search.methods import COMPONENTS, METHODS

SUMMARY = "group faces without names into people, by embeddings"
TAKES_BEAM_OPTIONS = True


@dataclasses.dataclass(frozen=True)
class _Paths:
    embeddings: str = option(help="directory that `facemill score` wrote")
    output: str = option(help="directory of the clusters, new or left by a killed run")


@dataclasses.dataclass(frozen=True)
class ClusterOptions(SearchOptions, _Paths):
    """What one clustering is to do."""

    method: str = option(
        COMPONENTS,
        choices=METHODS,
        help="components joins groups that are near on average, which no chain of similar faces "
        "does; whispers lets each face follow its neighbors (Chinese whispers)",
    )
    since: str | None = option(
        None,
        metavar="CLUSTERS",
        help="an earlier clustering: its people keep their names and faces, new faces join them",
    )
    neighbors: int = option(32, least=1, most=1000, help="nearest faces of each that are looked at")
    scratch: str = scratch_option()


OPTIONS = ClusterOptions

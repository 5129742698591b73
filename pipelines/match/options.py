"""Options of `facemill match`."""

import dataclasses

from facemill.pipelines.common.partition_option import check_partition, partition_option
from facemill.pipelines.common.scratch import scratch_option
from facemill.pipelines.common.search_options import SearchOptions
from facemill.transforms.core.fields import option
from facemill.transforms.search.methods import EXACT, SEARCHES

SUMMARY = "find the people of a gallery in photos, or compare listed pairs, by embeddings"
TAKES_BEAM_OPTIONS = True


@dataclasses.dataclass(frozen=True)
class _Paths:
    output: str = option(help="directory of the matches, new or left by a killed run")


@dataclasses.dataclass(frozen=True)
class MatchOptions(SearchOptions, _Paths):
    """What one matching run is to do."""

    probes: str | None = option(None, help="embeddings of the photos to name")
    gallery: str | None = option(
        None, help="embeddings to search: of `facemill score`, or templates of `facemill enroll`"
    )
    pairs: str | None = option(
        None,
        metavar="CSV",
        help="compare listed pairs of image_ids in place of all: a table of two columns; the first "
        "of --probes, the second of --gallery",
    )
    embeddings: str | None = option(
        None, help="with --pairs: embeddings of both images, in place of --probes and --gallery"
    )
    search: str = option(
        EXACT,
        choices=SEARCHES,
        help="exact, or by an index that looks at a part of the gallery (ivf, hnsw), whose recall "
        "is measured on a sample and reported; for large galleries and many probes",
    )
    top_k: int = option(10, least=1, most=1000, help="best matches of each probe")
    partition: str | None = partition_option()
    scratch: str = scratch_option()

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        super().__post_init__()
        check_partition(self.partition)


OPTIONS = MatchOptions

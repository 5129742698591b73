"""Options of `facemill compact`."""

import dataclasses

from facemill.pipelines.common.options import CheckedOptions
from facemill.transforms.core.fields import option

SUMMARY = "join the embeddings of many runs into one set, with the newest of each image"
TAKES_BEAM_OPTIONS = False


@dataclasses.dataclass(frozen=True)
class CompactOptions(CheckedOptions):
    """What one run is to join."""

    partitions: str = option(
        metavar="DIR",
        help="directory whose subdirectories are embeddings of one model; of two, the one whose "
        "name comes later is newer, such as 2026-11-26 after 2026-11-25",
    )
    output: str = option(help="directory of the joined embeddings, new or left by a killed run")


OPTIONS = CompactOptions

"""Options of `facemill demo`."""

import dataclasses

from facemill.transforms.core.fields import option

SUMMARY = "run the whole way on synthetic faces: ingest, train, score, evaluate"
TAKES_BEAM_OPTIONS = False


@dataclasses.dataclass(frozen=True)
class DemoOptions:
    """What the demo is to do."""

    output: str = option(help="directory of everything that it makes")


OPTIONS = DemoOptions

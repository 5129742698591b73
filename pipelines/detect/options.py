"""Options of `facemill detect`."""

import dataclasses

from facemill.pipelines.common.job_options import max_rejected_option, workers_option
from facemill.pipelines.common.scratch import scratch_option
from facemill.pipelines.common.source_options import SourceOptions
from facemill.transforms.core.fields import option
from facemill.transforms.faces.choices import DETECTORS

SUMMARY = "find the faces of photos, with boxes and landmarks, and cut them out if wanted"
TAKES_BEAM_OPTIONS = True


@dataclasses.dataclass(frozen=True)
class _Paths:
    input: str = option(help="photos")
    output: str = option(help="directory of the faces, new or left by a killed run")


@dataclasses.dataclass(frozen=True)
class DetectOptions(SourceOptions, _Paths):
    """What one detection run is to do."""

    crops: str | None = option(
        None,
        metavar="DATASET",
        help="directory for the aligned faces, new or left by a killed run: Parquet that "
        "`facemill ingest --align none` reads",
    )
    image_size: int = option(
        112, least=16, most=512, advice="give 112", help="side of an aligned face in pixels"
    )
    detector: str = option(
        DETECTORS[0], choices=DETECTORS, help="which detector finds faces; docs/alignment.md"
    )
    scratch: str = scratch_option()
    workers: int = workers_option("threads that decode")
    max_rejected: float = max_rejected_option("unusable photos", "photos without a face are none")


OPTIONS = DetectOptions

"""Options of `facemill enroll`."""

import dataclasses

from facemill.pipelines.common.options import CheckedOptions
from facemill.transforms.core.fields import option

SUMMARY = "make one template of all images of each person, as a gallery for match"
TAKES_BEAM_OPTIONS = False


@dataclasses.dataclass(frozen=True)
class EnrollOptions(CheckedOptions):
    """What one enrollment is to do."""

    embeddings: str = option(help="directory that `facemill score` wrote, with identities")
    output: str = option(help="directory of the templates, new or left by a killed run")
    threshold: float | None = option(
        None,
        least=-1,
        most=1,
        help="least mean cosine similarity of an image with the others of its person; by default "
        "an image is an outlier if it agrees far less than most of them",
    )
    clusters: str | None = option(
        None,
        help="directory that `facemill cluster` wrote, whose people are enrolled in place of the "
        "identities of the embeddings",
    )


OPTIONS = EnrollOptions

"""Options of the commands that read a collection of photos."""

import dataclasses

from facemill.transforms.core.fields import option
from facemill.transforms.sources.names import FORMATS


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """How the files of `input` are read.

    Each field has a default, so a command's required options come from a class that is named after
    this one in the list of bases: a dataclass takes fields from the last base first.
    """

    format: str | None = option(
        None, choices=FORMATS, help="layout of --input; told by its names if not given"
    )
    root: str | None = option(
        None, help="what the paths of a manifest are relative to; its own directory if not given"
    )
    image_column: str | None = option(
        None, help="of parquet: column of the images; found if not given"
    )
    label_column: str | None = option(
        None,
        help="column of the identities, of webdataset their kind of file; found if not given",
    )

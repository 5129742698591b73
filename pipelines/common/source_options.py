"""Options of the commands that read a collection of photos."""

import dataclasses
from typing import TYPE_CHECKING

from facemill.pipelines.common.options import CheckedOptions
from facemill.transforms.core.errors import naming
from facemill.transforms.core.fields import option
from facemill.transforms.sources.names import FORMATS

if TYPE_CHECKING:
    from facemill.transforms.sources.base import Source


@dataclasses.dataclass(frozen=True)
class SourceOptions(CheckedOptions):
    """How the files of `input` are read.

    Each field has a default, so a command's required options come from a class that is named after
    this one in the list of bases: a dataclass takes fields from the last base first.
    """

    format: str | None = option(
        None, choices=FORMATS, help="layout of --input; told by its names if not given"
    )
    root: str | None = option(
        None,
        help="what the paths of a manifest, or of Parquet rows without bytes, are relative to; the "
        "directory of the table if not given",
    )
    image_column: str | None = option(
        None,
        help="of tables and archives: column or feature of the images, of a manifest their paths, "
        "of webdataset their kind of file; found if not given",
    )
    label_column: str | None = option(
        None,
        help="of tables and archives: column or feature of the identities, of webdataset their "
        "kind of file; found if not given",
    )
    key: str | None = option(
        None,
        help="of tables: column or feature that names each image; of webdataset first-dot or "
        "last-dot, where the key in the name of a file ends",
    )

    def source(self, format: str, root: str) -> "Source":
        """The source of an input, read as the options say.

        Args:
            format: of the input.
            root: absolute path or URL of the input.

        Raises:
            UsageError: the format does not take an option.
        """
        from facemill.transforms import storage
        from facemill.transforms.sources import registry

        images_root = self.root and storage.absolute(self.root, "root")
        with naming({"images_root": "root"}):
            return registry.build(
                format, root, images_root, self.image_column, self.label_column, self.key
            )

"""What an ingest run is, once its options are checked."""

from collections.abc import Sequence
from dataclasses import dataclass

from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.references import Base, ReferenceSet
from facemill.transforms.dataset.artifact import Work
from facemill.transforms.scan.scan_chunk import ScanJob
from facemill.transforms.selection.selection import Selection


@dataclass(frozen=True)
class IngestJob:
    """A run that is ready to be built.

    Attributes:
        options: checked values.
        scan: what is read, and how.
        tasks: the parts of what is read, see `transforms.sources.base.Source.tasks`.
        rules: what stays.
        reference_sets: what it is compared with.
        base: the dataset of which it makes a new version, or None.
        work: where it is written.
    """

    options: IngestOptions
    scan: ScanJob
    tasks: Sequence[str]
    rules: Selection
    reference_sets: Sequence[ReferenceSet]
    base: Base | None
    work: Work

    @property
    def base_keys(self) -> str | None:
        """File of the keys of the images that the base has, see `transforms.scan.listing`."""
        return None if self.base is None else self.work.path("known.npy")

    @property
    def version(self) -> int:
        """Of the dataset."""
        return 1 if self.base is None else self.base.version

"""An ingest run whose options and inputs are checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.references import Base, ReferenceSet
from facemill.pipelines.ingest.selection import NameLists
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scan.scan_chunk import ScanJob
from facemill.transforms.selection.selection import Selection
from facemill.transforms.sources.guesses import Guess


@dataclass(frozen=True)
class IngestJob:
    """A run that is ready to be built.

    Attributes:
        options: checked values.
        scan: the source, and how its images are read.
        tasks: the parts of the source, see `transforms.sources.base.Source.tasks`.
        rules: of selection.
        reference_sets: images that the input is compared with.
        base: the dataset of which the run makes a new version, or None.
        work: the folder of the run.
        lists: the identities that a person's files name.
        input_files: returns what `run.json` keeps of the files of the input.
        guesses: what was guessed of the input.
    """

    options: IngestOptions
    scan: ScanJob
    tasks: Sequence[str]
    rules: Selection
    reference_sets: Sequence[ReferenceSet]
    base: Base | None
    work: Work
    lists: NameLists = field(default_factory=NameLists)
    input_files: Callable[[], dict[str, Any]] = dict
    guesses: Sequence[Guess] = ()

    @property
    def base_keys(self) -> str | None:
        """Path of the keys of the base's images, see `transforms.scan.listing`, or None."""
        return None if self.base is None else self.work.path("known.npy")

    @property
    def version(self) -> int:
        """Version number of the dataset, from 1."""
        return 1 if self.base is None else self.base.version

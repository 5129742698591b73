"""Options of `facemill score`."""

import argparse
import dataclasses

from facemill.transforms.core import cores
from facemill.transforms.core.errors import UsageError
from facemill.transforms.sources.names import FORMATS

SUMMARY = "compute embeddings of the images of a folder or dataset with a trained model"
TAKES_BEAM_OPTIONS = True


@dataclasses.dataclass(frozen=True)
class ScoreOptions:
    """What one scoring run is to do.

    Attributes:
        input: images, as `format` says, or a dataset that `facemill ingest` wrote.
        model: directory that `facemill train` wrote.
        output: directory of the embeddings.
        format: layout of the input, one of FORMATS, or None to tell it by the names in it.
        root: what the paths of a manifest are relative to, or None for its own directory.
        image_column: of Parquet tables: which column holds the images, or None to find it.
        label_column: what holds the identities in Parquet tables or tar shards, or None to find it.
        batch_size: images in one call of the model. Around 32 is quickest on a CPU.
        workers: threads that decode in each worker process; never changes a byte.
        max_rejected: share of images without an embedding above which the run fails.
    """

    input: str
    model: str
    output: str
    format: str | None = None
    root: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    batch_size: int = 32
    workers: int = 2
    max_rejected: float = 0.5

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        if not 1 <= self.batch_size <= 1024:
            raise UsageError(f"--batch-size must be 1 to 1024, got {self.batch_size}; give 32.")
        if self.workers < 1:
            raise UsageError(f"--workers must be 1 or more, got {self.workers}; give 1.")
        if not 0 < self.max_rejected <= 1:
            raise UsageError(
                f"--max-rejected must be above 0 and at most 1, got {self.max_rejected}; give 0.5."
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    add = parser.add_argument
    add("--input", required=True, help="images, or a dataset")
    add("--model", required=True, help="directory that `facemill train` wrote")
    add("--format", choices=FORMATS, help="layout of --input; told by its names if not given")
    add("--root", help="what the paths of a manifest are relative to")
    add("--image-column", help="of parquet: column of the images; found if not given")
    add(
        "--label-column",
        help="column of the identities, of webdataset their kind of file; found if not given",
    )
    add("--output", required=True, help="directory of the embeddings, new or left by a killed run")
    add(
        "--batch-size",
        type=int,
        default=ScoreOptions.batch_size,
        help="images in one call of the model",
    )
    add(
        "--workers",
        type=int,
        default=cores.usable(),
        help="threads that decode, in each of the engine's worker processes; by default one for "
        "each core here, where the job is submitted; never changes a byte of the result",
    )
    add(
        "--max-rejected",
        type=float,
        default=ScoreOptions.max_rejected,
        help="share of images without an embedding above which the run fails",
    )


def from_arguments(namespace: argparse.Namespace) -> ScoreOptions:
    """The options of parsed flags.

    Raises:
        UsageError: a value is out of its range.
    """
    fields = dataclasses.fields(ScoreOptions)
    return ScoreOptions(**{field.name: getattr(namespace, field.name) for field in fields})

"""Options of `facemill ingest`."""

import argparse
import dataclasses
import math
import os

from transforms.errors import UsageError

SUMMARY = "turn a folder of face photos into a clean, deduplicated, split dataset of TFRecords"
TAKES_BEAM_OPTIONS = True

_SPLITS = ("train", "val", "test")
# Below this no decoder-accepted image could be told from noise; transforms.decode has the same.
_SMALLEST = 16


@dataclasses.dataclass(frozen=True)
class IngestOptions:
    """What one ingest run is to do.

    Attributes:
        input: directory with one folder of images per identity.
        output: directory of the dataset.
        format: layout of the input; `folders` is the one there is.
        image_size: side of a record's square image in pixels. 112 is what published face
            embedders take.
        crop_fraction: share of the shorter side that the center crop keeps.
        dedup: `near` also finds re-encoded and resized copies, `exact` only equal pixels.
        min_images: identities with fewer images after deduplication are dropped.
        max_images: of identities with more, so many are drawn; None for no limit.
        split: (name, share of the identities), summing to 1.
        seed: of the split, the draws and the order of the records.
        workers: threads that decode in each worker process; never changes a byte.
        include_identities: file that names the only identities to keep, or None.
        exclude_identities: file that names identities to leave out, or None.
        max_rejected: share of rejected images above which the run fails.
    """

    input: str
    output: str
    format: str = "folders"
    image_size: int = 112
    crop_fraction: float = 1.0
    dedup: str = "near"
    min_images: int = 1
    max_images: int | None = None
    split: tuple[tuple[str, float], ...] = (("train", 0.8), ("val", 0.1), ("test", 0.1))
    seed: int = 1
    workers: int = 2
    include_identities: str | None = None
    exclude_identities: str | None = None
    max_rejected: float = 0.5

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        _require(
            _SMALLEST <= self.image_size <= 1024,
            f"--image-size must be {_SMALLEST} to 1024 pixels, got {self.image_size}; "
            "112 is usual.",
        )
        _require(
            0 < self.crop_fraction <= 1,
            f"--crop-fraction must be above 0 and at most 1, got {self.crop_fraction}; "
            "1 keeps the whole square.",
        )
        _require(
            self.min_images >= 1, f"--min-images must be 1 or more, got {self.min_images}; give 1."
        )
        _require(
            self.max_images is None or self.max_images >= self.min_images,
            f"--max-images must be at least --min-images ({self.min_images}), "
            f"got {self.max_images}; raise it.",
        )
        _require(self.workers >= 1, f"--workers must be 1 or more, got {self.workers}; give 1.")
        _require(self.seed >= 0, f"--seed must be 0 or more, got {self.seed}; give another.")
        _require(
            0 < self.max_rejected <= 1,
            f"--max-rejected must be above 0 and at most 1, got {self.max_rejected}; give 0.5.",
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    add = parser.add_argument
    add("--input", required=True, help="directory with one folder of images per identity")
    add("--output", required=True, help="directory of the dataset, new or left by a killed run")
    add("--format", choices=["folders"], default=IngestOptions.format, help="layout of --input")
    add("--image-size", type=int, default=IngestOptions.image_size, help="pixels per side")
    add(
        "--crop-fraction",
        type=float,
        default=IngestOptions.crop_fraction,
        help="share of the shorter side that the center crop keeps",
    )
    add(
        "--dedup",
        choices=["near", "exact"],
        default=IngestOptions.dedup,
        help="which duplicates to look for",
    )
    add(
        "--min-images",
        type=int,
        default=IngestOptions.min_images,
        help="drop identities with fewer images after deduplication",
    )
    add(
        "--max-images",
        type=int,
        default=IngestOptions.max_images,
        help="draw at most so many images of an identity",
    )
    add(
        "--split",
        type=str,
        default=",".join(f"{name}={share}" for name, share in IngestOptions.split),
        help="shares of the identities",
    )
    add("--seed", type=int, default=IngestOptions.seed, help="of split, draws and record order")
    add(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="threads that decode; never changes a byte of the result",
    )
    add("--include-identities", help="file with the only identities to keep, one a line")
    add("--exclude-identities", help="file with identities to leave out, one a line")
    add(
        "--max-rejected",
        type=float,
        default=IngestOptions.max_rejected,
        help="share of rejected images above which the run fails",
    )


def from_arguments(namespace: argparse.Namespace) -> IngestOptions:
    """The options of parsed flags.

    Raises:
        UsageError: a value is out of its range.
    """
    values = {field.name: getattr(namespace, field.name) for field in _fields()}
    values["split"] = parse_split(namespace.split)
    return IngestOptions(**values)


def parse_split(text: str) -> tuple[tuple[str, float], ...]:
    """`train=0.8,val=0.1,test=0.1` as pairs; splits that are not named get 0.

    Raises:
        UsageError: a name or share is wrong, or the shares do not sum to 1.
    """
    shares = dict.fromkeys(_SPLITS, 0.0)
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share) if name.strip() in _SPLITS else math.nan
        except ValueError:
            shares[name.strip()] = math.nan
    if not all(0 <= share <= 1 for share in shares.values()) or shares["train"] == 0:
        raise UsageError(
            f"--split must give shares from 0 to 1 to train, val and test, train's above 0, "
            f"got {text!r}; write train=0.8,val=0.1,test=0.1."
        )
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UsageError(
            f"--split must sum to 1, got {sum(shares.values()):g} from {text!r}; "
            "write train=0.8,val=0.1,test=0.1."
        )
    return tuple(shares.items())


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message)


def _fields() -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(IngestOptions)

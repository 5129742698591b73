"""Options of `facemill ingest`."""

import argparse
import dataclasses
import math
from typing import Any

from facemill.transforms.core import cores
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.duplicates.choices import DROP, LEVELS, POLICIES
from facemill.transforms.faces.choices import ALIGNMENTS, DETECTORS
from facemill.transforms.images.limits import MIN_SIDE
from facemill.transforms.selection.choices import PREFERENCES, SPLIT_UNITS
from facemill.transforms.selection.rules import KINDS, MOST, Rule, parse
from facemill.transforms.sources.names import FORMATS

SUMMARY = "turn a collection of face photos into a clean, split dataset of TFRecords"
TAKES_BEAM_OPTIONS = True

# Of a picture of 2,000 pixels a side this keeps 100: a face that is smaller still is none.
_LEAST_CROP = 0.05


@dataclasses.dataclass(frozen=True)
class IngestOptions:
    """What one ingest run is to do.

    Attributes:
        input: directory of images, archive, table or list, as `format` says.
        output: directory of the dataset.
        format: layout of the input, one of FORMATS, or None to tell it by the names in it.
        root: what the paths of a manifest are relative to, or None for its own directory.
        image_column: of Parquet tables: which column holds the images, or None to find it.
        label_column: of Parquet tables: which column holds the identities; of tar shards: which of
            a sample's files does (txt); or None to find it.
        image_size: side of a record's square image in pixels. 112 is what published face
            embedders take.
        align: how a picture becomes a square, one of ALIGNMENTS.
        detector: of `--align detect`, one of DETECTORS.
        crop_fraction: share of the shorter side that the center crop keeps, 0.05 to 1.
        min_sharpness: least variance of the Laplacian of the square; 0 for no floor.
        min_contrast: least standard deviation of the square's grey values; 0 for no floor.
        brightness: least and most mean of the square's grey values.
        dedup: how hard duplicates are looked for, one of LEVELS.
        on_conflict: what becomes of one picture under two identities, one of POLICIES.
        min_images: identities with fewer images after deduplication are dropped.
        max_images: of identities with more, so many are kept; None for no limit.
        balance: further rules, in any order.
        prefer: which images stay under a cap: `hash` draws them, `quality` takes the sharpest.
        split: (name, share of the identities), summing to 1.
        split_by: `identity`, so that nobody is in two splits, or `image`.
        split_lists: (name, file of the identities that belong there, whatever the shares and the
            source say).
        seed: of the split, the draws and the order of the records.
        workers: processes that read and decode; never changes a byte.
        include_identities: file that names the only identities to keep, or None.
        exclude_identities: file that names identities to leave out, or None.
        exclude_dataset: a dataset or directory that nothing may be shared with, or None.
        append_to: a dataset of which a new version is made, with what is new in the input; or None.
        max_rejected: share of rejected images above which the run fails, 0 to 1.
    """

    input: str
    output: str
    format: str | None = None
    root: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    image_size: int = 112
    align: str = "center"
    detector: str = "blazeface"
    crop_fraction: float = 1.0
    min_sharpness: float = 0.0
    min_contrast: float = 0.0
    brightness: tuple[float, float] = (0.0, 255.0)
    dedup: str = "near"
    on_conflict: str = DROP
    min_images: int = 1
    max_images: int | None = None
    balance: tuple[Rule, ...] = ()
    prefer: str = "hash"
    split: tuple[tuple[str, float], ...] = (("train", 0.8), ("val", 0.1), ("test", 0.1))
    split_by: str = "identity"
    split_lists: tuple[tuple[str, str], ...] = ()
    seed: int = 1
    workers: int = 2
    include_identities: str | None = None
    exclude_identities: str | None = None
    exclude_dataset: str | None = None
    append_to: str | None = None
    max_rejected: float = 0.5

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        _require(
            MIN_SIDE <= self.image_size <= 1024,
            f"--image-size must be {MIN_SIDE} to 1024 pixels, got {self.image_size}; 112 is usual.",
        )
        _require(
            _LEAST_CROP <= self.crop_fraction <= 1,
            f"--crop-fraction must be {_LEAST_CROP} to 1, got {self.crop_fraction}; "
            "1 keeps the whole square.",
        )
        for flag, count in (("--min-images", self.min_images), ("--max-images", self.max_images)):
            _require(
                count is None or 1 <= count <= MOST,
                f"{flag} must be 1 to {MOST:,}, got {count}; give another.",
            )
        _require(
            self.max_images is None or self.max_images >= self.min_images,
            f"--max-images must be at least --min-images ({self.min_images}), "
            f"got {self.max_images}; raise it.",
        )
        for flag, least in (
            ("--min-sharpness", self.min_sharpness),
            ("--min-contrast", self.min_contrast),
        ):
            _require(
                0 <= least < math.inf, f"{flag} must be 0 or more, got {least:g}; give 0 for none."
            )
        low, high = self.brightness
        _require(
            0 <= low < high <= 255,
            f"--brightness must be two numbers LOW,HIGH from 0 to 255, got {low:g},{high:g}; "
            "give 0,255 for no floor.",
        )
        columns = {rule.column for rule in self.balance if rule.column}
        _require(
            len(columns) < 2,
            f"--balance must name one attribute, got {', '.join(sorted(columns))}; "
            "balance by one of them.",
        )
        _require(
            self.split_by == "identity" or not self.split_lists,
            "--split-list must go with --split-by identity, since it puts whole identities into a "
            f"split, got it with --split-by {self.split_by}; leave one of them out.",
        )
        _require(self.workers >= 1, f"--workers must be 1 or more, got {self.workers}; give 1.")
        _require(self.seed >= 0, f"--seed must be 0 or more, got {self.seed}; give another.")
        _require(
            0 <= self.max_rejected <= 1,
            f"--max-rejected must be 0 to 1, got {self.max_rejected}; give 0.5.",
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    defaults = IngestOptions
    add = parser.add_argument
    add("--input", required=True, help="directory of images, archive, table or list")
    add("--output", required=True, help="directory of the dataset, new or left by a killed run")
    add("--format", choices=FORMATS, help="layout of --input; told by its names if not given")
    add(
        "--root",
        help="what the paths of a manifest are relative to; its own directory if not given",
    )
    add("--image-column", help="of parquet: column of the images; found if not given")
    add(
        "--label-column",
        help="column of the identities, of webdataset their kind of file; found if not given",
    )
    add("--image-size", type=int, default=defaults.image_size, help="pixels per side")
    add(
        "--align",
        choices=ALIGNMENTS,
        default=defaults.align,
        help="how a picture becomes a square: whole, its center, or by five points of the face",
    )
    add(
        "--detector",
        choices=DETECTORS,
        default=defaults.detector,
        help="of --align detect; each comes with an extra of its name, blazeface with detect",
    )
    add(
        "--crop-fraction",
        type=float,
        default=defaults.crop_fraction,
        help="share of the shorter side that --align center keeps, 0.05 to 1",
    )
    add("--min-sharpness", type=float, default=0.0, help="reject what is more blurred; 0 for none")
    add("--min-contrast", type=float, default=0.0, help="reject what is more flat; 0 for none")
    add("--brightness", default="0,255", help="LOW,HIGH: reject what is darker or lighter")
    add(
        "--dedup",
        choices=LEVELS,
        default=defaults.dedup,
        help="which duplicates to look for; thorough finds mirror images and crops too",
    )
    add(
        "--on-conflict",
        choices=POLICIES,
        default=defaults.on_conflict,
        help="of one picture under two identities: set all aside, keep the larger side's best, or "
        "set aside and write them apart",
    )
    add(
        "--min-images",
        type=int,
        default=defaults.min_images,
        help="drop identities with fewer images after deduplication",
    )
    add(
        "--max-images",
        type=int,
        default=defaults.max_images,
        help="keep at most so many images of an identity",
    )
    add(
        "--balance",
        action="append",
        metavar="RULE",
        help=f"{', '.join(KINDS)}: KIND=AMOUNT, of identities, or KIND=AMOUNT@COLUMN, of an "
        "attribute; may be repeated, and what takes images away comes first in any case",
    )
    add(
        "--prefer",
        choices=PREFERENCES,
        default=defaults.prefer,
        help="which images stay under a cap: drawn ones, or the sharpest",
    )
    add(
        "--split",
        type=str,
        default=",".join(f"{name}={share}" for name, share in defaults.split),
        help="shares of the identities",
    )
    add(
        "--split-by",
        choices=SPLIT_UNITS,
        default=defaults.split_by,
        help="image: for closed-set work, identities are in all splits",
    )
    add(
        "--split-list",
        action="append",
        metavar="SPLIT=FILE",
        help="identities that belong to a split, whatever the shares and a split column say, one "
        "a line; may be repeated",
    )
    add("--seed", type=int, default=defaults.seed, help="of split, draws and record order")
    add(
        "--workers",
        type=int,
        default=cores.usable(),
        help="processes that read and decode, in each of the engine's worker processes; by default "
        "one for each core here, where the job is submitted; never changes a byte of the result",
    )
    add("--include-identities", help="file with the only identities to keep, one a line")
    add("--exclude-identities", help="file with identities to leave out, one a line")
    add(
        "--exclude-dataset",
        help="dataset or directory to share nothing with: neither identities nor pictures",
    )
    add("--append-to", help="dataset of which to write a new version, with what is new in --input")
    add(
        "--max-rejected",
        type=float,
        default=defaults.max_rejected,
        help="share of rejected images above which the run fails; 0 allows none",
    )


def from_arguments(namespace: argparse.Namespace) -> IngestOptions:
    """The options of parsed flags.

    Raises:
        UsageError: a value is out of its range.
    """
    special: dict[str, Any] = {
        "split": parse_split(namespace.split),
        "split_lists": tuple(_split_list(text) for text in namespace.split_list or ()),
        "balance": tuple(parse(text) for text in namespace.balance or ()),
        "brightness": _brightness(namespace.brightness),
    }
    values = {
        field.name: getattr(namespace, field.name)
        for field in dataclasses.fields(IngestOptions)
        if field.name not in special
    }
    return IngestOptions(**values, **special)


def _split_list(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if name not in SPLITS or not path:
        raise UsageError(
            f"--split-list must be SPLIT=FILE with train, val or test, got {text!r}; "
            "write test=names.txt, say."
        )
    return name, path


def _brightness(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--brightness must be two numbers LOW,HIGH, got {text!r}; write 20,240, say."
        ) from None
    return low, high


def parse_split(text: str) -> tuple[tuple[str, float], ...]:
    """`train=0.8,val=0.1,test=0.1` as pairs; splits that are not named get 0.

    Raises:
        UsageError: a name or share is wrong, or the shares do not sum to 1.
    """
    shares = dict.fromkeys(SPLITS, 0.0)
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share) if name.strip() in SPLITS else math.nan
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

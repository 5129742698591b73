"""Options of `facemill ingest`."""

import dataclasses
import math
from collections.abc import Sequence

from facemill.pipelines.common.compare_input import COMPARISONS, TIMES
from facemill.pipelines.common.job_options import max_rejected_option, workers_option
from facemill.pipelines.common.scratch import scratch_option
from facemill.pipelines.common.source_options import SourceOptions
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option
from facemill.transforms.dataset.identity_names import EXACT, MATCHES
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.duplicates.choices import (
    COPY_DIFFERENCE,
    DROP,
    LEVELS,
    MAX_COPY_DIFFERENCE,
    MIN_COPY_DIFFERENCE,
    POLICIES,
)
from facemill.transforms.faces.choices import ALIGNMENTS, DETECTORS
from facemill.transforms.images.limits import MIN_SIDE
from facemill.transforms.selection import rules
from facemill.transforms.selection.choices import BY_IDENTITY, DRAWN, PREFERENCES, SPLIT_UNITS

SUMMARY = "turn a collection of face photos into a clean, split dataset of TFRecords"
TAKES_BEAM_OPTIONS = True

_MOST_IMAGES = f"1 to {rules.MOST:,}"


def parse_rules(texts: Sequence[str]) -> tuple[rules.Rule, ...]:
    """The rules of balance, each parsed from its text.

    Raises:
        UsageError: a text is no rule.
    """
    return tuple(rules.parse(text) for text in texts)


def parse_split(text: str) -> tuple[tuple[str, float], ...]:
    """`train=0.8,val=0.1,test=0.1` as pairs; splits that it does not name get 0.

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


def parse_split_lists(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Split and file of each text such as `test=names.txt`.

    Raises:
        UsageError: one names no split, or no file.
    """
    found = []
    for text in texts:
        name, _, path = text.partition("=")
        if name not in SPLITS or not path:
            raise UsageError(
                f"--split-list must be SPLIT=FILE with train, val or test, got {text!r}; "
                "write test=names.txt, say."
            )
        found.append((name, path))
    return tuple(found)


def parse_brightness(text: str) -> tuple[float, float]:
    """`LOW,HIGH` as two numbers.

    Raises:
        UsageError: it is not two numbers.
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--brightness must be two numbers LOW,HIGH, got {text!r}; write 20,240, say."
        ) from None
    return low, high


@dataclasses.dataclass(frozen=True)
class _Paths:
    input: str = option(help="directory of images, archive, table or list")
    output: str = option(help="directory of the dataset, new or left by a killed run")


@dataclasses.dataclass(frozen=True)
class IngestOptions(SourceOptions, _Paths):
    """What one ingest run is to do."""

    identities: bool = option(
        True,
        help="whether images have identities; --no-identities takes none from folders or columns, "
        "so that all images go to unlabeled/",
    )
    # 112 is what published face embedders take.
    image_size: int = option(
        112,
        least=MIN_SIDE,
        most=1024,
        must=f"{MIN_SIDE} to 1024 pixels",
        advice="112 is usual",
        help="pixels per side",
    )
    align: str = option(
        "center",
        choices=ALIGNMENTS,
        help="how a photo becomes a crop: whole, its center, or by five points of the face",
    )
    detector: str = option(
        DETECTORS[0],
        choices=DETECTORS,
        help="of --align detect; each comes with an extra of its name, blazeface with detect",
    )
    # 0.05 keeps 100 pixels of 2,000; no usable face is smaller.
    crop_fraction: float = option(
        1.0,
        least=0.05,
        most=1,
        advice="1 keeps the whole square",
        help="share of the shorter side that --align center keeps, 0.05 to 1",
    )
    # Variance of the Laplacian of the crop.
    min_sharpness: float = option(
        0.0, least=0, advice="give 0 for none", help="reject what is more blurred; 0 for none"
    )
    # Standard deviation of the crop's gray values.
    min_contrast: float = option(
        0.0, least=0, advice="give 0 for none", help="reject what is more flat; 0 for none"
    )
    # Means of the crop's gray values.
    brightness: tuple[float, float] = option(
        written="0,255", parse=parse_brightness, help="LOW,HIGH: reject what is darker or lighter"
    )
    dedup: str = option(
        "near",
        choices=LEVELS,
        help="which duplicates to look for; thorough finds mirror images and crops too",
    )
    copy_difference: float = option(
        COPY_DIFFERENCE,
        least=MIN_COPY_DIFFERENCE,
        most=MAX_COPY_DIFFERENCE,
        advice=f"{COPY_DIFFERENCE:g} is measured",
        help="of near and thorough: the largest local difference at which two photos count as "
        f"one, {MIN_COPY_DIFFERENCE:g} to {MAX_COPY_DIFFERENCE:g}; less keeps more photos",
    )
    on_conflict: str = option(
        DROP,
        choices=POLICIES,
        help="of one photo under two identities: set all aside, keep the larger side's best, or "
        "set aside and write them apart",
    )
    min_images: int = option(
        1,
        least=1,
        most=rules.MOST,
        must=_MOST_IMAGES,
        help="drop identities with fewer images after deduplication",
    )
    max_images: int | None = option(
        None,
        least=1,
        most=rules.MOST,
        must=_MOST_IMAGES,
        help="keep at most so many images of an identity",
    )
    balance: tuple[rules.Rule, ...] = option(
        (),
        parse=parse_rules,
        repeated=True,
        metavar="RULE",
        help=f"{', '.join(rules.KINDS)}: KIND=AMOUNT, of identities, or KIND=AMOUNT@COLUMN, of an "
        "attribute; may be repeated, and what takes images away comes first in any case",
    )
    prefer: str = option(
        DRAWN,
        choices=PREFERENCES,
        help="which images stay under a cap: drawn ones, or the sharpest",
    )
    split: tuple[tuple[str, float], ...] = option(
        written="train=0.8,val=0.1,test=0.1", parse=parse_split, help="shares of the identities"
    )
    split_by: str = option(
        BY_IDENTITY,
        choices=SPLIT_UNITS,
        help="image: for closed-set work, identities are in all splits",
    )
    split_lists: tuple[tuple[str, str], ...] = option(
        (),
        parse=parse_split_lists,
        repeated=True,
        flag="split-list",
        metavar="SPLIT=FILE",
        help="identities that belong to a split, whatever the shares and a split column say, one "
        "a line; may be repeated",
    )
    seed: int = option(1, least=0, help="of split, draws and record order")
    scratch: str = scratch_option()
    compare_input: str = option(
        TIMES,
        choices=COMPARISONS,
        help="where --output is complete already, how --input is compared with what it was made "
        "of: by names, sizes and times of the files, or by names and contents, which reads them",
    )
    workers: int = workers_option("processes that read and decode")
    include_identities: str | None = option(
        None, help="file with the only identities to keep, one a line"
    )
    exclude_identities: str | None = option(
        None, help="file with identities to leave out, one a line"
    )
    match_names: str = option(
        EXACT,
        choices=MATCHES,
        help="of identities, everywhere: folded takes names for one that differ in case, accents "
        "or _ for a space alone",
    )
    exclude_dataset: str | None = option(
        None, help="dataset or directory to share nothing with: neither identities nor photos"
    )
    append_to: str | None = option(
        None, help="dataset of which to write a new version, with what is new in --input"
    )
    max_rejected: float = max_rejected_option("rejected images", "0 allows none", may_be_0=True)

    def __post_init__(self) -> None:
        """Checks each value, and those that must fit each other.

        Raises:
            UsageError: names the flag and what was got.
        """
        super().__post_init__()
        _require(
            self.max_images is None or self.max_images >= self.min_images,
            f"--max-images must be at least --min-images ({self.min_images}), "
            f"got {self.max_images}; raise it.",
        )
        _require(
            self.dedup in ("near", "thorough") or self.copy_difference == COPY_DIFFERENCE,
            "--copy-difference must go with --dedup near or thorough, which compare photos that "
            f"differ, got it with --dedup {self.dedup}; leave one of them out.",
        )
        low, high = self.brightness
        _require(
            0 <= low < high <= 255,
            f"--brightness must be two numbers LOW,HIGH from 0 to 255, got {low:g},{high:g}; "
            "give 0,255 for no floor.",
        )
        if not self.identities:
            for name, given in (
                ("include-identities", self.include_identities),
                ("exclude-identities", self.exclude_identities),
                ("split-list", self.split_lists),
                ("label-column", self.label_column),
            ):
                _require(
                    not given,
                    f"--{name} must go with images that have identities, got it with "
                    "--no-identities; leave one of them out.",
                )
        columns = {rule.column for rule in self.balance if rule.column}
        _require(
            len(columns) < 2,
            f"--balance must name one attribute, got {', '.join(sorted(columns))}; "
            "balance by one of them.",
        )
        _require(
            self.split_by == BY_IDENTITY or not self.split_lists,
            "--split-list must go with --split-by identity, since it puts whole identities into a "
            f"split, got it with --split-by {self.split_by}; leave one of them out.",
        )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message)


OPTIONS = IngestOptions

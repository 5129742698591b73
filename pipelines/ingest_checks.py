"""What must be true of an ingest run before its manifest may be written."""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from pipelines.options.ingest import IngestOptions
from transforms import receipts
from transforms.artifact import Work
from transforms.errors import RunError
from transforms.rows import KEPT, OUTCOMES, REJECTED
from transforms.splits import SPLITS

_BATCH = 65_536


@dataclass(frozen=True)
class Checked:
    """Figures that were checked against each other.

    Attributes:
        counts: `listed` and each outcome.
        splits: per split: identities, records, shards (paths).
        files: receipts of shards and index parts: path, bytes, sha256.
        source_fingerprint: hex; the same for the same set of (image_id, SHA-256 of file).
    """

    counts: dict[str, int]
    splits: dict[str, dict[str, Any]]
    files: list[dict[str, Any]]
    source_fingerprint: str


def check(work: Work, options: IngestOptions) -> Checked:
    """Sums up the index and compares it with the listing and the shards.

    Raises:
        RunError: rows and listing differ, an image has two rows, too many were rejected, or
            nothing is left to train on.
    """
    listed = receipts.read(work.path("listed.json"))[0]["listed"]
    shards = receipts.read(work.path("shards.json"))
    parts = receipts.read(work.path("index.json"))
    if listed == 0:
        raise RunError("--input must hold images, but no file was found in it; check the path.")
    tally = _Tally()
    for part in parts:
        tally.add(os.path.join(work.scratch, part["path"]))
    counts = {"listed": listed, **{name: tally.outcomes[name] for name in OUTCOMES}}
    _check_accounts(counts, tally, sum(shard["records"] for shard in shards))
    _check_outcomes(counts, tally, options)
    splits = {
        name: {
            "identities": len(tally.identities[name]),
            "records": tally.records[name],
            "shards": sorted(
                shard["path"] for shard in shards if shard["path"].startswith(f"{name}/")
            ),
        }
        for name in SPLITS
    }
    return Checked(counts, splits, shards + parts, f"{tally.fingerprint:064x}")


class _Tally:
    """Sums over the index, one batch of rows in memory at a time."""

    def __init__(self) -> None:
        self.rows = 0
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.records: Counter[str] = Counter()
        self.identities: dict[str, set[str]] = {name: set() for name in SPLITS}
        self.fingerprint = 0
        self.repeated: str | None = None

    def add(self, path: str) -> None:
        names = ["image_id", "identity", "outcome", "reason", "split", "sha256"]
        last = None
        for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=names):
            for row in batch.to_pylist():
                self.rows += 1
                self.outcomes[row["outcome"]] += 1
                # Parts are sorted by image_id and an image_id belongs to one part.
                if row["image_id"] == last:
                    self.repeated = last
                last = row["image_id"]
                if row["outcome"] == KEPT:
                    self.records[row["split"]] += 1
                    self.identities[row["split"]].add(row["identity"])
                elif row["outcome"] != "duplicate":
                    self.reasons[row["reason"]] += 1
                entry = f"{row['image_id']}\0{row['sha256'] or ''}".encode()
                # A sum does not depend on the order, and unlike XOR notices a doubled entry.
                self.fingerprint += int.from_bytes(hashlib.sha256(entry).digest(), "big")
        self.fingerprint %= 1 << 256


def _check_accounts(counts: dict[str, int], tally: _Tally, records: int) -> None:
    if tally.repeated is not None:
        raise RunError(
            f"Every image must have one row, but {tally.repeated} has two; "
            "this is a fault of facemill, so please report it."
        )
    if tally.rows != counts["listed"] or sum(tally.outcomes.values()) != tally.rows:
        raise RunError(
            f"Every listed image must have one row, but {counts['listed']} were listed and "
            f"{tally.rows} have one; the input may have changed, so run the command again."
        )
    if records != counts[KEPT]:
        raise RunError(
            f"Every kept image must be in a shard, but {counts[KEPT]} are kept and {records} "
            "written; this is a fault of facemill, so please report it."
        )


def _check_outcomes(counts: dict[str, int], tally: _Tally, options: IngestOptions) -> None:
    reasons = "; ".join(f"{count} {reason}" for reason, count in tally.reasons.most_common(3))
    if counts[REJECTED] > options.max_rejected * counts["listed"]:
        raise RunError(
            f"At most {options.max_rejected:.0%} of the images may be rejected, but "
            f"{counts[REJECTED]} of {counts['listed']} were ({reasons}); mend the input or raise "
            "--max-rejected."
        )
    if counts[KEPT] == 0:
        raise RunError(
            f"At least one image must be kept, but all {counts['listed']} were set aside "
            f"({reasons}); mend the input or loosen the rules."
        )
    if tally.records["train"] == 0:
        raise RunError(
            f"The train split must not be empty, but its share of "
            f"{sum(len(found) for found in tally.identities.values())} identities is none; "
            "raise train in --split or change --seed."
        )

"""What must be true of a scoring run before its manifest may be written."""

import hashlib
import os
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from pipelines.options.score import ScoreOptions
from transforms import receipts
from transforms.artifact import Work
from transforms.errors import RunError

_BATCH = 65_536


@dataclass(frozen=True)
class Checked:
    """Figures that were checked against each other.

    Attributes:
        counts: listed, scored, rejected.
        files: path, bytes, sha256 of every part.
        source_fingerprint: hex; the same for the same set of image_ids.
    """

    counts: dict[str, int]
    files: list[dict[str, Any]]
    source_fingerprint: str


def check(work: Work, options: ScoreOptions, promised: int | None) -> Checked:
    """Counts the rows of all parts and compares them with the listing.

    Args:
        work: the run; its parts are read.
        options: of the run.
        promised: how many records the dataset's manifest states; None for a folder.

    Raises:
        RunError: rows and listing differ, records are missing, an image has two rows, too many
            have no embedding, or none has one.
    """
    listed = receipts.read(work.path("listed.json"))[0]["listed"]
    parts = receipts.read(work.path("parts.json"))
    errors = receipts.read(work.path("errors.json"))
    if listed == 0:
        raise RunError("--input must hold images, but no file was found in it; check the path.")
    if promised not in (None, listed):
        raise RunError(
            f"--input must hold the {promised} records of its manifest, but its shards hold "
            f"{listed}; it was changed or damaged, so ingest again."
        )
    scored, scored_sum = _tally(work, parts)
    rejected, rejected_sum = _tally(work, errors)
    if scored + rejected != listed:
        raise RunError(
            f"Every listed image must have one row, but {listed} were listed and "
            f"{scored + rejected} have one; the input may have changed, so run the command again."
        )
    if scored == 0 or rejected > options.max_rejected * listed:
        raise RunError(
            f"At most {options.max_rejected:.0%} of the images may be rejected, but {rejected} of "
            f"{listed} were ({_reasons(work, errors)}); mend the input or raise --max-rejected."
        )
    files = [{key: entry[key] for key in ("path", "bytes", "sha256")} for entry in parts + errors]
    return Checked(
        counts={"listed": listed, "scored": scored, "rejected": rejected},
        files=sorted(files, key=lambda entry: entry["path"]),
        source_fingerprint=f"{(scored_sum + rejected_sum) % (1 << 256):064x}",
    )


def _tally(work: Work, parts: list[dict[str, Any]]) -> tuple[int, int]:
    """Rows, and the sum of their keys' hashes, which does not depend on their order."""
    rows, total = 0, 0
    for part in parts:
        file = pq.ParquetFile(os.path.join(work.scratch, part["path"]))
        last = None
        for batch in file.iter_batches(_BATCH, columns=["image_id"]):
            for key in batch.column(0).to_pylist():
                # A part is sorted, and an image belongs to one part.
                if key == last:
                    raise RunError(
                        f"Every image must have one row, but {key} has two; the dataset may hold "
                        "it twice, so ingest again."
                    )
                last = key
                rows += 1
                total += int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest(), "big")
    return rows, total


def _reasons(work: Work, errors: list[dict[str, Any]]) -> str:
    """The most frequent reasons."""
    found: dict[str, int] = {}
    for part in errors:
        table = pq.read_table(os.path.join(work.scratch, part["path"]), columns=["reason"])
        for reason in table["reason"].to_pylist():
            found[reason] = found.get(reason, 0) + 1
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:3]
    return "; ".join(f"{count} {reason}" for reason, count in ordered)

"""What must be true of a scoring run before its manifest may be written."""

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.pipelines.score.options import ScoreOptions
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.text import first_counted
from facemill.transforms.dataset import write_results
from facemill.transforms.dataset.artifact import Work
from facemill.transforms.dataset.parquet_parts import part_batches
from facemill.transforms.scan.repeated_ids import first_repeated

_ROWS_AT_A_TIME = 65_536


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

    Memory holds eight bytes for each image.

    Args:
        work: the run; its parts are read.
        options: of the run.
        promised: how many records the dataset's manifest states; None for images.

    Raises:
        RunError: rows and listing differ, records are missing, an image has two rows, too many
            have no embedding, or none has one.
    """
    listed = write_results.read(work.path("listed.json"))[0]["listed"]
    parts = write_results.read(work.path("parts.json"))
    errors = write_results.read(work.path("errors.json"))
    if listed == 0:
        raise RunError("--input must hold images, but no file was found in it; check the path.")
    if promised not in (None, listed):
        raise RunError(
            f"--input must hold the {promised} records of its manifest, but its shards hold "
            f"{listed}; it was changed or damaged, so ingest again."
        )
    keys = _Keys(work)
    scored, rejected = keys.add(parts), keys.add(errors)
    keys.check_distinct(parts + errors)
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
        source_fingerprint=keys.fingerprint,
    )


class _Keys:
    """The image_ids of all parts, as hashes.

    Args:
        work: the run whose parts they are of.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        # The first eight bytes of each key's SHA-256.
        self._hashes = array("Q")
        self._sum = 0

    @property
    def fingerprint(self) -> str:
        """Hex; a sum, so it does not depend on the order."""
        return f"{self._sum % (1 << 256):064x}"

    def add(self, parts: Sequence[dict[str, Any]]) -> int:
        """Takes the keys of some parts; returns how many rows they have."""
        before = len(self._hashes)
        for keys in _column(self._work, parts, "image_id"):
            for digest in map(_digest, keys):
                self._hashes.append(_start(digest))
                self._sum += int.from_bytes(digest, "big")
        return len(self._hashes) - before

    def check_distinct(self, parts: Sequence[dict[str, Any]]) -> None:
        """Compares all keys with each other.

        Args:
            parts: all that were added.

        Raises:
            RunError: two rows have the same key.
        """
        ordered = np.sort(np.frombuffer(self._hashes, np.uint64))
        suspects = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(suspects):
            return
        # Different keys may have the same hash, so those that do are read once more.
        hashes = set(suspects.tolist())
        columns = _column(self._work, parts, "image_id")
        twice = first_repeated(
            key for keys in columns for key in keys if _start(_digest(key)) in hashes
        )
        if twice is not None:
            raise RunError(
                f"Every image must have one row, but {twice} has two; the input may hold it "
                "twice, so mend it, or ingest again if it is a dataset."
            )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8")).digest()


def _start(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")


def _column(work: Work, parts: Sequence[dict[str, Any]], name: str) -> Iterator[list[str]]:
    """The values of a column of texts, some rows at a time."""
    for part in parts:
        path = os.path.join(work.scratch, part["path"])
        for batch in part_batches(path, [name], _ROWS_AT_A_TIME):
            yield batch.column(0).to_pylist()


def _reasons(work: Work, errors: Sequence[dict[str, Any]]) -> str:
    """The most frequent reasons."""
    found: Counter[str] = Counter()
    for reasons in _column(work, errors, "reason"):
        found.update(reasons)
    return first_counted(dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))))

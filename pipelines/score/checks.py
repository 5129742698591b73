"""Checks the files that a scoring run wrote, before its manifest is written."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from facemill.pipelines.common import input_files
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.core.text import first_counted
from facemill.transforms.dataset import artifact, write_results
from facemill.transforms.dataset.parquet_parts import part_batches
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scan.repeated_ids import check_names
from facemill.transforms.scoring.read import ReadCounts

REPEATED = "repeated.json"
COUNTS = "counts.json"
LISTED = "listed.json"
IGNORED = "ignored.json"
REMOVED = "removed.json"

# Receipts that workers write in parts, to be added.
ZEROS = {
    LISTED: {"listed": 0},
    IGNORED: {"ignored": 0},
    COUNTS: {field.name: 0 for field in dataclasses.fields(ReadCounts)},
}

_ROWS_AT_A_TIME = 65_536


@dataclass(frozen=True)
class Checked:
    """The figures of a run, checked against each other.

    Attributes:
        counts: listed, scored, rejected, ignored; with earlier embeddings also unchanged and
            removed; where all faces have rows also photos.
        errors: images without an embedding by reason code, the most frequent first.
        files: path, bytes, sha256 of every part.
        source_fingerprint: hex; the same for the same set of image_ids.
    """

    counts: dict[str, int]
    errors: dict[str, int]
    files: list[dict[str, Any]]
    source_fingerprint: str


def check(
    work: Work,
    max_rejected: float,
    *,
    promised: int | None = None,
    all_faces: bool = False,
    since: bool = False,
) -> Checked:
    """Compares the rows of all parts with the listing.

    Args:
        work: the run; its parts are read.
        max_rejected: share of images without an embedding above which the run fails.
        promised: how many records the dataset's manifest states; None for images.
        all_faces: whether all faces of a photo have rows. Photos without a face do not count as
            rejected then, since most collections that hold several hold none too.
        since: whether photos were compared with earlier embeddings.

    Raises:
        RunError: rows and listing differ, records are missing, an image has two rows, too many
            have no embedding, or none has one.
    """
    listed = write_results.read(work.path(LISTED))[0]["listed"]
    parts = write_results.read(work.path("parts.json"))
    errors = write_results.read(work.path("errors.json"))
    ignored = write_results.read(work.path(IGNORED))[0]["ignored"]
    if listed == 0:
        raise RunError("--input must hold images, but no file was found in it; check the path.")
    if listed == ignored:
        raise RunError(
            f"--input must hold images, but all {listed} files in it have names that images never "
            "have; check the path."
        )
    if promised not in (None, listed):
        raise RunError(
            f"--input must hold the {promised} records of its manifest, but its shards hold "
            f"{listed}; it was changed or damaged, so ingest again."
        )
    scored, rejected = (sum(entry["rows"] for entry in entries) for entries in (parts, errors))
    check_names(
        write_results.read(work.path(REPEATED)),
        work.files.folder,
        [entry["path"] for entry in parts + errors],
        advice="the input may hold it twice, so mend it, or ingest again if it is a dataset",
    )
    (sums,) = write_results.read(work.path(COUNTS))
    read = ReadCounts(**sums)
    photos = read.photos + read.failed_photos + read.unchanged
    rows = scored + rejected + ignored
    if photos != listed or rows != read.images + read.failures:
        raise RunError(
            f"Every listed photo and each of its images must have one row, but of {listed} photos "
            f"{photos} were read, and of their {read.images + read.failures} images {rows} have a "
            "row; the input may have changed, so run the command again."
        )
    codes = _codes(work, errors)
    counted, missing = listed - ignored, rejected
    if all_faces:
        faceless = codes.get(ReasonCode.NO_FACE.value, 0)
        counted, missing = read.images + read.failures - ignored - faceless, rejected - faceless
    if missing > max_rejected * counted:
        raise RunError(
            f"At most {max_rejected:.0%} of the images may be rejected, but {missing} of "
            f"{counted} were ({_reasons(work, errors)}); mend the input or raise --max-rejected."
        )
    if scored == 0 and not since and not all_faces:
        raise RunError(
            f"One image or more must have an embedding, but none of {counted} has "
            f"({_reasons(work, errors)}); mend the input."
        )
    removed = write_results.read(work.path(REMOVED)) if since else []
    written = parts + errors + removed
    total = sum(int(entry["names"], 16) for entry in parts + errors)
    files = [{key: entry[key] for key in ("path", "bytes", "sha256")} for entry in written]
    more: dict[str, int] = {}
    if all_faces:
        more["photos"] = read.photos
    if since:
        more["unchanged"] = read.unchanged
        more["removed"] = sum(entry["rows"] for entry in removed)
    return Checked(
        counts={
            "listed": listed,
            "scored": scored,
            "rejected": rejected,
            "ignored": ignored,
            **more,
        },
        errors=codes,
        files=sorted(files, key=lambda entry: entry["path"]),
        source_fingerprint=f"{total % (1 << 256):064x}",
    )


def sources(output: str) -> Iterator[str]:
    """Of each image of complete embeddings, scored or not, the file that it lies in.

    Args:
        output: absolute path or URL of the embeddings.
    """
    for name in storage.walk_files(output):
        if name.endswith(".parquet"):
            path = storage.join(output, name)
            for batch in part_batches(path, ["source"], _ROWS_AT_A_TIME):
                yield from batch.column(0).to_pylist()


def refuse_changes(output: str, photos: Sequence[input_files.Input], do: str) -> None:
    """Compares inputs with what they held when complete embeddings or faces were made of them.

    Args:
        output: absolute path or URL of the embeddings or faces.
        photos: the inputs.
        do: what to do about a change.

    Raises:
        UsageError: files came, went or changed; it names some.
    """
    run, known = artifact.read_run(output), functools.partial(sources, output)
    for one in photos:
        input_files.refuse_changes(run, one, output, do, known=known)


def _column(work: Work, parts: Sequence[dict[str, Any]], name: str) -> Iterator[list[str]]:
    """The values of a column of texts, some rows at a time."""
    for part in parts:
        for batch in part_batches(work.files.path(part["path"]), [name], _ROWS_AT_A_TIME):
            yield batch.column(0).to_pylist()


def _codes(work: Work, errors: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many images have each reason code, the most frequent first."""
    found: Counter[str] = Counter()
    for codes in _column(work, errors, "reason_code"):
        found.update(codes)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _reasons(work: Work, errors: Sequence[dict[str, Any]]) -> str:
    """The most frequent reasons."""
    found: Counter[str] = Counter()
    for reasons in _column(work, errors, "reason"):
        found.update(reasons)
    return first_counted(dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))))

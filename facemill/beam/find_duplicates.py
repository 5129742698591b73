"""Duplicate search in any Beam pipeline, by the keys of the caller.

scan (on the worker that has the element) -> order by key -> search -> Exclusion
"""

import os
import secrets
from collections.abc import Iterator
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from facemill.beam.order_by_key import UNORDERED, OrderByKey, RowsToOrder, RowsWithWindows
from facemill.beam.rows import MAX_WAITING_BYTES, Exclusion, Image, as_image, as_ref
from facemill.beam.temporary import staging_folder
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.merging import Merge
from facemill.transforms.core.processes import Calls
from facemill.transforms.core.reasons import IGNORED_FILE
from facemill.transforms.core.row_ids import CHUNK, row_ids_of, row_of
from facemill.transforms.core.windowed import at_end
from facemill.transforms.dataset.identity_filter import IdentityFilter
from facemill.transforms.dataset.outcomes import IGNORED, REJECTED
from facemill.transforms.duplicates import choices
from facemill.transforms.duplicates import transform as search
from facemill.transforms.duplicates.verdicts import Exclusion as Excluded
from facemill.transforms.faces.crop import CropConfig, check_detector
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.scan_chunk import ScanJob, Scanned, scan_chunk
from facemill.transforms.scan.staging import (
    MetadataReader,
    read_metadata,
)
from facemill.transforms.sources.memory import InMemory

LEVELS = tuple(level for level in choices.LEVELS if level != "off")

# Nothing is chosen at random here; the seed only keys the hashes.
_SEED = 0
_REJECTED = "rejected"
# Random numbers of chunks: those of the origin NEW, see `transforms.core.row_ids`.
_NUMBER_BITS = 50
# Images that are scanned together.
_BATCH = CHUNK


class FindDuplicates(beam.PTransform):
    """(key, bytes) or Image -> Exclusion of each image that duplicates another.

    One image of each group of duplicates is kept and has no row: one with an identity before those
    without, then the one nearest to the original: in color, large, without border or marks (see
    docs/duplicates.md), then the first by key. If a group has several identities, all its images
    are conflicts, or as `on_conflict` says. An image that cannot be read has a row with the outcome
    `rejected`, a file that was never meant as an image with `ignored`. The rows are in the global
    window, in no order.

    The rows depend on the set of elements alone: not on their order, on bundles, on the number of
    workers or on the runner. Keys must be unique; two equal keys fail the pipeline.

    While the pipeline runs, about 25 KB of each image lie in a folder with a random name in the
    temporary location, which every worker must see at the same path. The last step removes the
    folder; a killed pipeline leaves it, and you can remove it.

    Args:
        level: `exact` (equal pixels), `near` (also resized, encoded anew, slightly changed) or
            `thorough` (also crops, rotations and mirror images).
        on_conflict: `drop` makes all images of the group conflicts, `keep-majority` keeps the best
            image of the identity that has most of them, `quarantine` does the same as `drop`.
        temp_location: a directory on a disk; None for the `temp_location` of the pipeline, or, if
            the runner is local, for a directory of `tempfile`.
        crop_config: which part of an image is compared, and with what detector; None for the
            centered crop.
        workers: scan processes for each worker process of the runner; with 1 the worker process
            itself scans.

    Raises:
        UsageError: an argument is out of its range. When the transform is applied: the runner is
            remote and no temporary location is given, or the collection is unbounded.
    """

    def __init__(
        self,
        level: str = "near",
        on_conflict: str = "drop",
        *,
        temp_location: str | os.PathLike[str] | None = None,
        crop_config: CropConfig | None = None,
        workers: int = 1,
    ) -> None:
        super().__init__()
        for name, value, allowed in (
            ("level", level, LEVELS),
            ("on_conflict", on_conflict, choices.POLICIES),
        ):
            if value not in allowed:
                raise UsageError(
                    f"{name} must be one of {', '.join(allowed)}, got {value!r}; choose one."
                )
        if workers < 1:
            raise UsageError(f"workers must be 1 or more, got {workers}; give 1.")
        self._level = level
        self._policy = on_conflict
        self._temp_location = None if temp_location is None else os.fspath(temp_location)
        self._crop_config = crop_config or CropConfig()
        self._workers = workers
        check_detector(self._crop_config)

    def expand(self, images: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        if not images.is_bounded:
            raise UsageError(
                "FindDuplicates must have a bounded collection, which ends, but got an unbounded "
                "one; read a finished collection."
            )
        staging = staging_folder(self._temp_location, images.pipeline)
        storage.make_folder(os.path.join(staging, UNORDERED))
        scan = _Scan(staging, self._crop_config, self._level == "thorough", self._workers)
        found = (
            images
            | "Global" >> beam.WindowInto(GlobalWindows())
            | "Scan"
            >> beam.ParDo(scan)
            .with_output_types(scan.kind, rejected=Exclusion)
            .with_outputs(_REJECTED, main="scanned")
        )
        total = (
            found.scanned
            | "Sizes" >> beam.Map(len).with_output_types(int)
            | "Total" >> beam.CombineGlobally(sum)
        )
        excluded = (
            found.scanned
            | "OrderByKey" >> OrderByKey(staging, total)
            | "Search"
            >> search.FindDuplicates(
                staging, self._level, self._policy, _SEED, total, IdentityFilter()
            )
            | "Name" >> beam.ParDo(_Name(staging)).with_output_types(Exclusion)
        )
        rows = (
            (excluded, found[_REJECTED])
            | "All" >> Merge()
            # No step after this one reads the staging folder, if the runner materializes here.
            | "Spread" >> beam.Reshuffle()
        )
        _ = (
            rows
            | "Count" >> beam.combiners.Count.Globally()
            | "RemoveStaging" >> beam.Map(_remove, staging)
        )
        return rows


class _Scan(beam.DoFn):
    """Elements -> rows of each batch; Exclusion of each unreadable image under "rejected".

    Attributes:
        kind: the class of the rows.
    """

    def __init__(self, staging: str, crop_config: CropConfig, windows: bool, workers: int) -> None:
        self._staging = os.path.join(staging, UNORDERED)
        self._crop_config = crop_config
        self._windows = windows
        self._workers = workers
        self.kind = RowsWithWindows if windows else RowsToOrder

    def start_bundle(self) -> None:
        self._calls: Calls[Scanned] = Calls(self._workers)
        self._waiting: list[Image] = []
        self._bytes = 0

    def process(
        self, element: Any
    ) -> Iterator[RowsToOrder | TaggedOutput[Literal["rejected"], Exclusion]]:
        image = as_image(element)
        self._waiting.append(image)
        self._bytes += len(image.data or b"")
        if len(self._waiting) >= _BATCH or self._bytes >= MAX_WAITING_BYTES:
            for scanned in self._scan():
                yield from self._outputs(scanned)

    def finish_bundle(self) -> Iterator[WindowedValue | TaggedOutput]:
        last = list(self._scan()) if self._waiting else []
        for scanned in (*last, *self._calls.rest()):
            for one in self._outputs(scanned):
                if isinstance(one, TaggedOutput):
                    yield TaggedOutput(one.tag, at_end(one.value))
                else:
                    yield at_end(one)

    def _scan(self) -> Iterator[Scanned]:
        images, self._waiting, self._bytes = self._waiting, [], 0
        job = ScanJob(
            source=InMemory([image.data or b"" for image in images]),
            staging=self._staging,
            crop_config=self._crop_config,
            thresholds=QualityThresholds(),
            seed=_SEED,
            windows=self._windows,
        )
        refs = [as_ref(image, index) for index, image in enumerate(images)]
        return self._calls.call(scan_chunk, job, _new_number(self._staging), refs)

    def _outputs(
        self, scanned: Scanned
    ) -> Iterator[RowsToOrder | TaggedOutput[Literal["rejected"], Exclusion]]:
        metadata = read_metadata(
            self._staging, scanned.chunk, ["image_id", "reason", "reason_code"]
        )
        keys, reasons, codes = (column.to_pylist() for column in metadata.columns)
        rows = np.zeros(scanned.count, self.kind.dtype)
        rows["order"] = [keyed_hash(_SEED, "order", key) for key in keys]
        rows["row_id"] = row_ids_of(scanned.chunk, scanned.count)
        positions = [row_of(row_id) for row_id in scanned.usable["row_id"].tolist()]
        rows["is_usable"][positions] = True
        rows["usable"][positions] = scanned.usable
        rows["windows"][positions] = scanned.windows
        yield self.kind.of(rows)
        for key, reason, code in zip(keys, reasons, codes, strict=True):
            if code:
                outcome = IGNORED if code in IGNORED_FILE else REJECTED
                yield TaggedOutput(_REJECTED, Exclusion(key, outcome, None, reason, code))


class _Name(beam.DoFn):
    """Exclusion of the search, by row id -> Exclusion with the key of the caller."""

    def __init__(self, staging: str) -> None:
        self._staging = staging

    def setup(self) -> None:
        self._metadata = MetadataReader(self._staging, ["image_id"])

    def process(self, one: Excluded) -> Iterator[Exclusion]:
        key = self._metadata.row(one.row_id)["image_id"]
        verdict, reason = one.verdict, one.verdict.reason
        other = verdict.duplicate_of or None
        yield Exclusion(key, verdict.outcome, other, str(reason), reason.code.value)


def _new_number(folder: str) -> int:
    """A random chunk number that no other bundle has."""
    while True:
        number = secrets.randbits(_NUMBER_BITS)
        if storage.claim(os.path.join(folder, f"{number:013x}.taken")):
            return number


def _remove(count: int, staging: str) -> int:
    storage.remove(staging)
    return count

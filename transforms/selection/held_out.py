"""Counts about a held-out set: usable images, identities, and overlap with the base."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.reasons import IGNORED_FILE
from facemill.transforms.core.row_ids import (
    BASE,
    HELD_OUT,
    chunk_of,
    origin_of,
    origin_of_chunk,
    row_of,
)
from facemill.transforms.core.rows import Rows
from facemill.transforms.dataset.fingerprint import content_sum
from facemill.transforms.dataset.identity_filter import NO_IDENTITY
from facemill.transforms.duplicates.verdicts import Exclusion
from facemill.transforms.scan.scan_chunk import Scanned
from facemill.transforms.scan.staging import read_metadata

EXAMPLES = 3
_IGNORED = [code.value for code in IGNORED_FILE]

NAMED = np.dtype([("identity", "<u8"), ("held_out", "?"), ("records", "<u4")])


class NamedRows(Rows):
    """NAMED rows: an identity, whether a held-out set has it, and its records in the base."""

    __slots__ = ()
    dtype = NAMED


register(NamedRows)


@dataclass
class _Sums:
    listed: int = 0
    ignored: int = 0
    usable: int = 0
    by_pixels: int = 0
    fingerprint: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: "_Sums") -> None:
        self.listed += other.listed
        self.ignored += other.ignored
        self.usable += other.usable
        self.by_pixels += other.by_pixels
        self.fingerprint = (self.fingerprint + other.fingerprint) % (1 << 256)
        self.reasons += other.reasons


class CountUsable(beam.PTransform):
    """Scanned -> one dict that counts the images of a held-out set.

    Its keys are `listed`, `ignored` (files that were never meant as images, which `listed` does not
    count), `usable`, `by_pixels` (unusable images with known pixels, which exact
    duplicates can be compared with), `reasons` (unusable images by reason) and `fingerprint` (hex,
    the same for the same set of (image_id, SHA-256 of the file)).

    Args:
        staging: the staging folder.
    """

    def __init__(self, staging: str) -> None:
        super().__init__()
        self._staging = staging

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            scanned
            | "Tally" >> beam.Map(_tally, self._staging)
            | "Sum" >> beam.CombineGlobally(_CombineSums())
        )


class CountNamed(beam.PTransform):
    """Scanned of all sets -> one dict: `identities` of the held-out set, and `records` of the base
    with one of these identities.

    Args:
        total: a PCollection of one number, how many images were listed.
    """

    def __init__(self, total: beam.PCollection) -> None:
        super().__init__()
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            scanned
            | "Names"
            >> beam.FlatMap(_named_rows, self._total).with_output_types(tuple[int, NamedRows])
            | "GroupNames" >> beam.GroupByKey()
            | "Named" >> beam.Map(_count_named).with_output_types(tuple[int, int])
            | "AllNamed" >> beam.CombineGlobally(_add_pairs)
            | "ToDict" >> beam.Map(lambda sums: {"identities": sums[0], "records": sums[1]})
        )


class CountOverlap(beam.PTransform):
    """Exclusion -> one dict: `records` of the base whose image a held-out set has too, and
    `examples`, the image_id of a few.

    Args:
        staging: the staging folder.
    """

    def __init__(self, staging: str) -> None:
        super().__init__()
        self._staging = staging

    def expand(self, exclusions: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            exclusions
            | "Overlapping" >> beam.FlatMap(_overlapping, self._staging)
            | "AllOverlapping" >> beam.CombineGlobally(_CountWithExamples())
        )


def _tally(scanned: Scanned, staging: str) -> _Sums:
    columns = ["image_id", "sha256", "reason", "reason_code", "outcome"]
    metadata = read_metadata(staging, scanned.chunk, columns)
    verdicts = zip(
        *(metadata[name].to_pylist() for name in ("reason", "reason_code", "outcome")), strict=True
    )
    ignored = pc.is_in(metadata["reason_code"], pa.array(_IGNORED))
    count = pc.sum(ignored).as_py() or 0
    return _Sums(
        listed=scanned.count - count,
        ignored=count,
        usable=len(scanned.usable),
        by_pixels=int(scanned.unusable["pixels"].any(axis=1).sum()),
        fingerprint=content_sum(metadata),
        reasons=Counter(
            f"set aside in its dataset as {outcome}" if outcome else reason
            for reason, code, outcome in verdicts
            if reason and code not in _IGNORED
        ),
    )


class _CombineSums(beam.CombineFn):
    def create_accumulator(self) -> _Sums:
        return _Sums()

    def add_input(self, accumulator: _Sums, sums: _Sums) -> _Sums:
        accumulator.add(sums)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Sums]) -> _Sums:
        total = _Sums()
        for one in accumulators:
            total.add(one)
        return total

    def extract_output(self, accumulator: _Sums) -> dict[str, Any]:
        return {
            "listed": accumulator.listed,
            "ignored": accumulator.ignored,
            "usable": accumulator.usable,
            "by_pixels": accumulator.by_pixels,
            "reasons": dict(accumulator.reasons),
            "fingerprint": f"{accumulator.fingerprint:064x}",
        }


def _named_rows(scanned: Scanned, total: int) -> Iterator[tuple[int, NamedRows]]:
    origin = origin_of_chunk(scanned.chunk)
    if origin not in (BASE, HELD_OUT):
        return
    keys = scanned.usable["identity"]
    if origin == HELD_OUT:
        keys = np.concatenate([keys, scanned.unusable["identity"]])
    found, counts = np.unique(keys[keys != NO_IDENTITY], return_counts=True)
    rows = np.zeros(len(found), NAMED)
    rows["identity"], rows["held_out"] = found, origin == HELD_OUT
    rows["records"] = 0 if origin == HELD_OUT else counts
    yield from NamedRows.divide(rows, found % np.uint64(group_count(total)))


def _count_named(group: tuple[int, Iterable[NamedRows]]) -> tuple[int, int]:
    rows = NamedRows.join(group[1])
    held_out = np.unique(rows["identity"][rows["held_out"]])
    records = rows["records"][np.isin(rows["identity"], held_out)]
    return len(held_out), int(records.sum(dtype=np.int64))


def _add_pairs(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    first = second = 0
    for one, other in pairs:
        first, second = first + one, second + other
    return first, second


def _overlapping(exclusion: Exclusion, staging: str) -> list[str]:
    if origin_of(exclusion.row_id) != BASE or not exclusion.verdict.is_leak:
        return []
    metadata = read_metadata(staging, chunk_of(exclusion.row_id), ["image_id"])
    return [metadata["image_id"][row_of(exclusion.row_id)].as_py()]


_CountedNames = tuple[int, list[str]]


class _CountWithExamples(beam.CombineFn):
    """How many names there are, and the first few of them."""

    def create_accumulator(self) -> _CountedNames:
        return 0, []

    def add_input(self, accumulator: _CountedNames, name: str) -> _CountedNames:
        return accumulator[0] + 1, heapq.nsmallest(EXAMPLES, [*accumulator[1], name])

    def merge_accumulators(self, accumulators: Iterable[_CountedNames]) -> _CountedNames:
        count, names = self.create_accumulator()
        for one in accumulators:
            count, names = count + one[0], heapq.nsmallest(EXAMPLES, names + one[1])
        return count, names

    def extract_output(self, accumulator: _CountedNames) -> dict[str, Any]:
        return {"records": accumulator[0], "examples": accumulator[1]}

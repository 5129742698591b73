"""The search for near hashes as a Beam transform, over the plain functions of `banding`."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from facemill.transforms.core.coders import register
from facemill.transforms.core.merging import Merge
from facemill.transforms.duplicates import banding
from facemill.transforms.duplicates.candidates import TOGETHER, HashRows, PairRows, in_chunks

register(HashRows, PairRows)

# Up to so many hashes one worker searches all bands; above it each band has a worker of its own.
_ONE_WORKER = 1 << 16
_EVERYTHING = -1
_EVERY_BAND = -1


class NearPairs(beam.PTransform):
    """HashRows -> PairRows.

    Args:
        total: a PCollection of one number, how many images there are.
        one_worker: most images that one worker searches alone; never changes the result.
        together: most images that one worker holds; changes the result only where hashes are so
            crowded that the limits of `banding` apply.
    """

    def __init__(
        self, total: beam.PCollection, one_worker: int = _ONE_WORKER, together: int = TOGETHER
    ) -> None:
        super().__init__()
        self._total = total
        self._one_worker = one_worker
        self._together = together

    def expand(self, hashes: beam.PCollection) -> Any:
        """Builds the graph."""
        total = beam.pvalue.AsSingleton(self._total)
        parts = (
            hashes
            | "ByPart"
            >> beam.FlatMap(by_part, total, self._together).with_output_types(tuple[int, HashRows])
            | "GroupParts" >> beam.GroupByKey()
            | "Parts" >> beam.Map(ordered).with_output_types(tuple[int, HashRows])
        )
        everything = beam.pvalue.AsIter(
            parts | "Everything" >> beam.FlatMap(_everything).with_output_types(HashRows)
        )
        by_bits = parts | "PartPairs" >> beam.FlatMap(part_pairs).with_output_types(PairRows)
        by_band = (
            self._total
            | "Bands"
            >> beam.FlatMap(bands, self._one_worker, self._together).with_output_types(int)
            | "SpreadBands" >> beam.Reshuffle()
            | "BandPairs" >> beam.FlatMap(band_pairs, everything).with_output_types(PairRows)
        )
        return (by_bits, by_band) | "Pairs" >> Merge()


def by_part(hashes: HashRows, total: int, together: int) -> Iterator[tuple[int, HashRows]]:
    """Divides rows into the parts to search: one part, or parts by some bits of each band."""
    bits = max(0, (total - 1) // together).bit_length()
    if bits == 0:
        yield _EVERYTHING, hashes
        return
    rows = hashes.array
    values = banding.partition_keys(rows["fingerprint"], min(bits, banding.HALF_BITS))
    for band in range(banding.BANDS):
        for side in range(banding.SIDES):
            for value, part in HashRows.divide(rows, values[:, band, side]):
                yield (band * banding.SIDES + side) << banding.HALF_BITS | value, part


def ordered(group: tuple[int, Iterable[HashRows]]) -> tuple[int, HashRows]:
    """Sorts a part into the order of the search, so that no band has to sort it again."""
    rows = HashRows.join(group[1])
    # Equal hashes by row id, so that every part has the same leaders among them.
    rows = rows[np.argsort(rows["row_id"])]
    order = banding.content_order(np.ascontiguousarray(rows["fingerprint"]))
    return group[0], HashRows.of(rows[order])


def bands(total: int, one_worker: int, together: int) -> Iterable[int]:
    """The searches of the part that holds everything: all bands at once, or one by one."""
    if total > together:
        return []
    return range(banding.BANDS) if total > one_worker else [_EVERY_BAND]


def band_pairs(band: int, everything: Iterable[HashRows]) -> Iterator[PairRows]:
    """Candidates that a band finds; `everything` is one part, or none if there is no image."""
    for part in everything:
        yield from _pairs(part, None if band == _EVERY_BAND else band, None)


def part_pairs(part: tuple[int, HashRows]) -> Iterator[PairRows]:
    """Candidates among rows that share some bits of a band."""
    key, hashes = part
    if key != _EVERYTHING:
        yield from _pairs(hashes, *divmod(key >> banding.HALF_BITS, banding.SIDES))


def _everything(part: tuple[int, HashRows]) -> list[HashRows]:
    return [part[1]] if part[0] == _EVERYTHING else []


def _pairs(hashes: HashRows, band: int | None, side: int | None) -> Iterator[PairRows]:
    rows = hashes.array
    found = banding.near_pairs(rows["fingerprint"], band, side)
    distance = banding.distances(*(rows["fingerprint"][ends] for ends in found.T))
    pairs = rows["row_id"][found]
    # Confirmation registers the first image to the second, so which one is first must be fixed.
    yield from in_chunks(np.sort(pairs, axis=1), np.zeros(len(pairs), np.uint8), distance)

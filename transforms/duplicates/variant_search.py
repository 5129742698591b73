"""The search for crops and mirror images as a Beam transform, over `banding` and `crop_variants`.

The search looks up the windows of each image among those in which other images are found. As long
as one worker can hold the latter of all images, each worker takes a part of the images. Above that,
both are grouped by the values of their bands: that takes 25 bytes for each of 132 windows in each
of 8 bands, and no worker holds more than a share of either.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.core.merging import CoGroup, Merge
from facemill.transforms.core.rows import RowIds, Rows
from facemill.transforms.duplicates import banding
from facemill.transforms.duplicates.candidates import TOGETHER, HashRows, PairRows, in_chunks
from facemill.transforms.images import crop_variants, perceptual_hash
from facemill.transforms.scan.scan_chunk import USABLE, Scanned

QUERY = np.dtype([("row_id", "<u8"), ("windows", "u1", (crop_variants.WINDOW_BYTES,))])
# The windows in which an image is found.
TARGET = np.dtype(
    [("row_id", "<u8"), ("windows", "u1", (crop_variants.FOUND * perceptual_hash.HASH_BYTES,))]
)
# One window, where windows are grouped by band: its number among those by which an image asks, or
# among those in which it is found.
WINDOW = np.dtype([("row_id", "<u8"), ("number", "u1"), ("fingerprint", USABLE["fingerprint"])])


class QueryRows(Rows):
    """QUERY rows."""

    __slots__ = ()
    dtype = QUERY


class TargetRows(Rows):
    """TARGET rows."""

    __slots__ = ()
    dtype = TARGET


class WindowRows(Rows):
    """WINDOW rows."""

    __slots__ = ()
    dtype = WINDOW


class HitRows(Rows):
    """HIT rows, see `transforms.duplicates.banding`."""

    __slots__ = ()
    dtype = banding.HIT


register(HashRows, PairRows, QueryRows, TargetRows, WindowRows, HitRows, RowIds)

_QUERY_SALT, _HIT_SALT = 48, 49
# Images in a group: their windows take 36 MB.
_IMAGES_PER_GROUP = 1 << 15
# Windows in a group, about.
_WINDOWS_PER_GROUP = 1 << 20


class VariantPairs(beam.PTransform):
    """HashRows -> PairRows.

    Args:
        scanned: a PCollection of Scanned, with windows.
        total: a PCollection of one number, how many images there are.
        together: most images of which one worker holds the windows in which they are found, 104
            bytes each; never changes the result.
    """

    def __init__(
        self, scanned: beam.PCollection, total: beam.PCollection, together: int = TOGETHER // 2
    ) -> None:
        super().__init__()
        self._scanned = scanned
        self._total = total
        self._together = together

    def expand(self, hashes: beam.PCollection) -> Any:
        """Builds the graph."""
        total, together = beam.pvalue.AsSingleton(self._total), self._together
        queries = self._scanned | "Queries" >> beam.FlatMap(queries_of, total).with_output_types(
            tuple[int, QueryRows]
        )
        searched = hashes | "Searched" >> beam.FlatMap(_by_row_id, total).with_output_types(
            tuple[int, RowIds]
        )
        searched_queries = (
            {"queries": queries, "searched": searched}
            | "GroupQueries" >> CoGroup()
            | "Once" >> beam.FlatMap(_searched_queries).with_output_types(QueryRows)
        )
        everything = beam.pvalue.AsIter(
            searched_queries
            | "Few" >> beam.FlatMap(_if_few, total, together).with_output_types(TargetRows)
        )
        of_few = searched_queries | "LookUp" >> beam.FlatMap(
            _look_up, total, together, everything
        ).with_output_types(PairRows)
        parts = {
            "asking": searched_queries
            | "AskingByBand"
            >> beam.FlatMap(asking_by_band, total, together).with_output_types(
                tuple[int, WindowRows]
            ),
            "found": searched_queries
            | "FoundByBand"
            >> beam.FlatMap(found_by_band, total, together).with_output_types(
                tuple[int, WindowRows]
            ),
        }
        of_many = (
            parts
            | "GroupBands" >> CoGroup()
            | "LookUpBand"
            >> beam.FlatMap(look_up_band, total).with_output_types(tuple[int, HitRows])
            | "GroupHits" >> beam.GroupByKey()
            | "Nearest" >> beam.FlatMap(nearest).with_output_types(PairRows)
        )
        return (of_few, of_many) | "Pairs" >> Merge()


def queries_of(scanned: Scanned, total: int) -> Iterable[tuple[int, QueryRows]]:
    """QUERY rows by the group of their row id."""
    rows = np.zeros(len(scanned.usable), QUERY)
    rows["row_id"] = scanned.usable["row_id"]
    rows["windows"] = scanned.windows
    return QueryRows.divide(rows, _group_of(rows["row_id"], _QUERY_SALT, total))


def part_bits(total: int, together: int) -> int | None:
    """How many bits of a band's value the windows of a group share.

    None if one worker holds what all images are found in, so that there are no groups.
    """
    if total <= together:
        return None
    windows = total * 2 * crop_variants.ASKING
    return min(banding.BAND_BITS, ((windows - 1) // _WINDOWS_PER_GROUP).bit_length())


def asking_by_band(
    queries: QueryRows, total: int, together: int
) -> Iterator[tuple[int, WindowRows]]:
    """WINDOW rows by the band and its value, all windows by which images ask in all bands."""
    yield from _by_band(queries, crop_variants.asking, part_bits(total, together))


def found_by_band(
    queries: QueryRows, total: int, together: int
) -> Iterator[tuple[int, WindowRows]]:
    """WINDOW rows by the band and its value, all windows in which images are found."""
    yield from _by_band(queries, crop_variants.found, part_bits(total, together))


def _by_band(
    queries: QueryRows, windows: Callable[[np.ndarray], np.ndarray], bits: int | None
) -> Iterator[tuple[int, WindowRows]]:
    if bits is None:
        return
    rows = queries.array
    hashes = windows(rows["windows"])
    count = hashes.shape[1]
    hashes = hashes.reshape(-1, hashes.shape[2])
    for band in range(banding.BANDS):
        values = banding.band_values(hashes, band) >> np.uint16(banding.BAND_BITS - bits)
        order = np.argsort(values, kind="stable")
        found, starts = np.unique(values[order], return_index=True)
        # Built one by one: together they would take several times the memory of the queries.
        for value, indices in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            part = np.zeros(len(indices), WINDOW)
            part["row_id"] = rows["row_id"][indices // count]
            part["number"] = indices % count
            part["fingerprint"] = hashes[indices]
            yield band << banding.BAND_BITS | value, WindowRows.of(part)


def look_up_band(
    group: tuple[int, dict[str, Iterable[Any]]], total: int
) -> Iterable[tuple[int, HitRows]]:
    """Hits among windows that share a value of a band, by the group of their row id."""
    key, parts = group
    found = WindowRows.join(parts["found"])
    found = found[np.argsort(found["row_id"], kind="stable")]
    asking = WindowRows.join(parts["asking"])
    numbers = asking["number"].astype(np.int64)
    hits = [np.empty(0, banding.HIT)]
    for window in range(crop_variants.FOUND):
        rows = found[found["number"] == window]
        hits.append(
            banding.cross_share(
                asking["fingerprint"],
                asking["row_id"],
                numbers * crop_variants.FOUND + window + 1,
                rows["fingerprint"],
                rows["row_id"],
                key >> banding.BAND_BITS,
            )
        )
    nearest_hits = banding.nearest(np.concatenate(hits))
    return HitRows.divide(nearest_hits, _group_of(nearest_hits["first"], _HIT_SALT, total))


def nearest(group: tuple[int, Iterable[HitRows]]) -> Iterator[PairRows]:
    """The nearest hit of each pair, as a candidate."""
    found = banding.nearest(HitRows.join(group[1]))
    yield from in_chunks(
        np.stack([found["first"], found["second"]], axis=1), found["variant"], found["distance"]
    )


def _group_of(row_ids: np.ndarray, salt: int, total: int) -> np.ndarray:
    return splitmix64(row_ids, salt) % np.uint64(group_count(total, _IMAGES_PER_GROUP))


def _by_row_id(hashes: HashRows, total: int) -> Iterable[tuple[int, RowIds]]:
    row_ids = hashes.array["row_id"]
    return RowIds.divide(row_ids, _group_of(row_ids, _QUERY_SALT, total))


def _searched_queries(group: tuple[int, dict[str, Iterable[Any]]]) -> list[QueryRows]:
    """Keeps the queries of searched images: of images with equal pixels only one is searched."""
    rows = QueryRows.join(group[1]["queries"])
    searched = RowIds.join(group[1]["searched"])
    rows = rows[np.isin(rows["row_id"], searched)]
    return [QueryRows.of(rows)] if len(rows) else []


def _if_few(queries: QueryRows, total: int, together: int) -> list[TargetRows]:
    if total > together:
        return []
    rows = np.zeros(len(queries.array), TARGET)
    rows["row_id"] = queries.array["row_id"]
    rows["windows"] = crop_variants.found(queries.array["windows"]).reshape(len(rows), -1)
    return [TargetRows.of(rows)]


def _look_up(
    queries: QueryRows, total: int, together: int, everything: Iterable[TargetRows]
) -> Iterator[PairRows]:
    if total > together:
        return
    rows = TargetRows.join(everything)
    rows = rows[np.argsort(rows["row_id"])]
    row_ids = rows["row_id"]
    targets = rows["windows"].reshape(len(rows), crop_variants.FOUND, -1)
    searched = queries.array
    places = np.searchsorted(row_ids, searched["row_id"])
    hits = banding.cross_pairs(crop_variants.asking(searched["windows"]), places, targets)
    pairs = np.stack([row_ids[hits[end]] for end in ("first", "second")], axis=1)
    yield from in_chunks(pairs, hits["variant"], hits["distance"])

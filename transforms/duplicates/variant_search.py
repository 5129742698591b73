"""The search for crops and mirror images as a Beam transform, over `banding` and `crop_variants`.

The search looks up the variants of each image among the plain hashes of all images. As long as one
worker can hold all hashes, each worker takes a part of the images. Above that, variants and hashes
are grouped by the values of their bands: that takes 25 bytes for each of 15 variants in each of 8
bands, and no worker holds more than a share of either.
"""

from collections.abc import Iterable, Iterator
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
from facemill.transforms.images import crop_variants
from facemill.transforms.scan.scan_chunk import USABLE, Scanned

QUERY = np.dtype(
    [
        ("row_id", "<u8"),
        ("fingerprint", USABLE["fingerprint"]),
        ("windows", "u1", (crop_variants.VARIANT_BYTES,)),
    ]
)
# One variant, where variants and hashes are grouped by band.
VARIANT = np.dtype([("row_id", "<u8"), ("variant", "u1"), ("fingerprint", USABLE["fingerprint"])])


class QueryRows(Rows):
    """QUERY rows."""

    __slots__ = ()
    dtype = QUERY


class VariantRows(Rows):
    """VARIANT rows."""

    __slots__ = ()
    dtype = VARIANT


class HitRows(Rows):
    """HIT rows, see `transforms.duplicates.banding`."""

    __slots__ = ()
    dtype = banding.HIT


register(HashRows, PairRows, QueryRows, VariantRows, HitRows, RowIds)

_QUERY_SALT, _HIT_SALT = 48, 49
# Variants in a group, about.
_VARIANTS_PER_GROUP = 1 << 20


class VariantPairs(beam.PTransform):
    """HashRows -> PairRows.

    Args:
        scanned: a PCollection of Scanned, with windows.
        total: a PCollection of one number, how many images there are.
        together: most images whose hashes one worker holds; never changes the result.
    """

    def __init__(
        self, scanned: beam.PCollection, total: beam.PCollection, together: int = TOGETHER
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
            hashes | "Few" >> beam.FlatMap(_if_few, total, together).with_output_types(HashRows)
        )
        of_few = searched_queries | "LookUp" >> beam.FlatMap(
            _look_up, total, together, everything
        ).with_output_types(PairRows)
        parts = {
            "variants": searched_queries
            | "AskedByBand"
            >> beam.FlatMap(variants_by_band, total, together).with_output_types(
                tuple[int, VariantRows]
            ),
            "hashes": hashes
            | "HashesByBand"
            >> beam.FlatMap(hashes_by_band, total, together).with_output_types(
                tuple[int, HashRows]
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
    rows["fingerprint"] = scanned.usable["fingerprint"]
    rows["windows"] = scanned.windows
    return QueryRows.divide(rows, _group_of(rows["row_id"], _QUERY_SALT, total))


def part_bits(total: int, together: int) -> int | None:
    """How many bits of a band's value the variants and hashes of a group share.

    None if one worker holds all hashes, so that there are no groups.
    """
    if total <= together:
        return None
    variants = total * crop_variants.MIRROR
    return min(banding.BAND_BITS, ((variants - 1) // _VARIANTS_PER_GROUP).bit_length())


def variants_by_band(
    queries: QueryRows, total: int, together: int
) -> Iterator[tuple[int, VariantRows]]:
    """VARIANT rows of QUERY rows by the band and its value, all variants in all bands."""
    bits = part_bits(total, together)
    if bits is None:
        return
    rows = queries.array
    variants = crop_variants.queries(rows["fingerprint"], rows["windows"])
    count = variants.shape[1]
    variants = variants.reshape(-1, variants.shape[2])
    for band in range(banding.BANDS):
        values = banding.band_values(variants, band) >> np.uint16(banding.BAND_BITS - bits)
        order = np.argsort(values, kind="stable")
        found, starts = np.unique(values[order], return_index=True)
        # Built one by one: together they would take several times the memory of the queries.
        for value, indices in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            part = np.zeros(len(indices), VARIANT)
            part["row_id"] = rows["row_id"][indices // count]
            part["variant"] = indices % count + 1
            part["fingerprint"] = variants[indices]
            yield band << banding.BAND_BITS | value, VariantRows.of(part)


def hashes_by_band(hashes: HashRows, total: int, together: int) -> Iterator[tuple[int, HashRows]]:
    """HASH rows by the band and its value, in all bands."""
    bits = part_bits(total, together)
    if bits is None:
        return
    rows = hashes.array
    for band in range(banding.BANDS):
        values = banding.band_values(rows["fingerprint"], band)
        for value, part in HashRows.divide(rows, values >> np.uint16(banding.BAND_BITS - bits)):
            yield band << banding.BAND_BITS | value, part


def look_up_band(
    group: tuple[int, dict[str, Iterable[Any]]], total: int
) -> Iterable[tuple[int, HitRows]]:
    """Hits of variants among hashes that share a value of a band, by the group of their row id."""
    key, parts = group
    rows = HashRows.join(parts["hashes"])
    rows = rows[np.argsort(rows["row_id"])]
    variants = VariantRows.join(parts["variants"])
    found = banding.cross_share(
        variants["fingerprint"],
        variants["row_id"],
        variants["variant"],
        rows["fingerprint"],
        rows["row_id"],
        key >> banding.BAND_BITS,
    )
    return HitRows.divide(found, _group_of(found["first"], _HIT_SALT, total))


def nearest(group: tuple[int, Iterable[HitRows]]) -> Iterator[PairRows]:
    """The nearest hit of each pair, as a candidate."""
    found = banding.nearest(HitRows.join(group[1]))
    yield from in_chunks(
        np.stack([found["first"], found["second"]], axis=1), found["variant"], found["distance"]
    )


def _group_of(row_ids: np.ndarray, salt: int, total: int) -> np.ndarray:
    return splitmix64(row_ids, salt) % np.uint64(group_count(total))


def _by_row_id(hashes: HashRows, total: int) -> Iterable[tuple[int, RowIds]]:
    row_ids = hashes.array["row_id"]
    return RowIds.divide(row_ids, _group_of(row_ids, _QUERY_SALT, total))


def _searched_queries(group: tuple[int, dict[str, Iterable[Any]]]) -> list[QueryRows]:
    """Keeps the queries of searched images: of images with equal pixels only one is searched."""
    rows = QueryRows.join(group[1]["queries"])
    searched = RowIds.join(group[1]["searched"])
    rows = rows[np.isin(rows["row_id"], searched)]
    return [QueryRows.of(rows)] if len(rows) else []


def _if_few(hashes: HashRows, total: int, together: int) -> list[HashRows]:
    return [hashes] if total <= together else []


def _look_up(
    queries: QueryRows, total: int, together: int, everything: Iterable[HashRows]
) -> Iterator[PairRows]:
    if total > together:
        return
    rows = HashRows.join(everything)
    rows = rows[np.argsort(rows["row_id"])]
    searched = queries.array
    searched = searched[np.argsort(searched["row_id"])]
    variants = crop_variants.queries(searched["fingerprint"], searched["windows"])
    places = np.searchsorted(rows["row_id"], searched["row_id"])
    pairs, variant = banding.cross_pairs(variants, places, rows["fingerprint"])
    asked = variants[np.searchsorted(places, pairs[:, 0]), variant - 1]
    distance = banding.distances(asked, rows["fingerprint"][pairs[:, 1]])
    yield from in_chunks(rows["row_id"][pairs], variant, distance)

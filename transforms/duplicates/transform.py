"""Duplicate search as a Beam transform: a thin layer over the plain functions beside it."""

from collections.abc import Iterable, Iterator
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from transforms.duplicates import banding, clusters, hashing
from transforms.duplicates.clusters import Member, Verdict
from transforms.rows import Photo, Staged, partition
from transforms.staging import StagingReader

_PARTITIONS = 64
_CONFIRM_CHUNK = 512

Edge = tuple[Member, Member]
# What the near search carries of a photo: hash, member, where its thumbnail lies.
Candidate = tuple[bytes, Member, Staged]


class FindDuplicates(beam.PTransform):
    """list[Photo] -> (image_id, Verdict) of every photo that is set aside.

    Args:
        near: whether near duplicates are searched too, or only equal pixels.
    """

    def __init__(self, near: bool) -> None:
        super().__init__()
        self._near = near

    def expand(self, photos: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        exact = (
            photos
            | "ByPixels" >> beam.FlatMap(_by_pixels).with_output_types(tuple[int, list[Candidate]])
            | "GroupPixels" >> beam.GroupByKey()
            | "ExactGroups" >> beam.ParDo(_ExactGroups()).with_outputs("edges", main="unique")
        )
        edges = [exact.edges]
        if self._near:
            near = (
                exact.unique
                | "ByBand" >> beam.FlatMap(_by_band).with_output_types(tuple[int, list[Candidate]])
                | "GroupBand" >> beam.GroupByKey()
                | "NearPairs" >> beam.FlatMap(_near_pairs)
                | "Confirm" >> beam.ParDo(_Confirm())
            )
            edges.append(near)
        return (
            edges
            | "Edges" >> beam.Flatten()
            | "ToOnePlace" >> beam.Map(_one_place).with_output_types(tuple[int, list[Edge]])
            | "GroupEdges" >> beam.GroupByKey()
            | "Verdicts" >> beam.FlatMap(_verdicts).with_output_types(tuple[str, Verdict])
        )


def _by_pixels(photos: list[Photo]) -> Iterable[tuple[int, list[Candidate]]]:
    parts = partition(photos, lambda one: int((one.row.pixel_sha256 or "")[:8], 16) % _PARTITIONS)
    for key, part in parts.items():
        yield key, [(photo.dct_hash, clusters.member(photo), photo.staged) for photo in part]


class _ExactGroups(beam.DoFn):
    """One representative of each group of equal pixels, and the edges within the group."""

    def process(
        self, group: tuple[int, Iterable[list[Candidate]]]
    ) -> Iterator[list[Candidate] | TaggedOutput[Literal["edges"], list[Edge]]]:
        candidates = sorted(_flat(group[1]), key=lambda one: one[1].image_id)
        unique, edges = [], []
        for same in partition(candidates, lambda one: one[1].pixel_sha256).values():
            unique.append(same[0])
            edges += [(same[0][1], other[1]) for other in same[1:]]
        yield unique
        if edges:
            yield TaggedOutput("edges", edges)


def _by_band(unique: list[Candidate]) -> Iterable[tuple[int, list[Candidate]]]:
    return ((band, unique) for band in range(banding.BANDS))


def _near_pairs(
    group: tuple[int, Iterable[list[Candidate]]],
) -> Iterator[list[tuple[Candidate, Candidate]]]:
    band, lists = group
    candidates = sorted(_flat(lists), key=lambda one: one[1].image_id)
    joined = b"".join(one[0] for one in candidates)
    hashes = np.frombuffer(joined, np.uint8).reshape(-1, hashing.HASH_BITS // 8)
    pairs = banding.near_pairs(hashes, band)
    for start in range(0, len(pairs), _CONFIRM_CHUNK):
        chunk = pairs[start : start + _CONFIRM_CHUNK]
        yield [(candidates[first], candidates[second]) for first, second in chunk]


class _Confirm(beam.DoFn):
    """Keeps the pairs whose thumbnails are correlated highly enough."""

    def process(self, pairs: list[tuple[Candidate, Candidate]]) -> Iterator[list[Edge]]:
        with StagingReader() as staging:
            values = hashing.correlations(
                staging.thumbnails(first[2] for first, _ in pairs),
                staging.thumbnails(second[2] for _, second in pairs),
            )
        edges = [
            (first[1], second[1])
            for (first, second), value in zip(pairs, values, strict=True)
            if value >= banding.MIN_CORRELATION
        ]
        if edges:
            yield edges


def _one_place(edges: list[Edge]) -> tuple[int, list[Edge]]:
    # Edges are as many as duplicates, not as images: one worker can hold them.
    return 0, edges


def _verdicts(group: tuple[int, Iterable[list[Edge]]]) -> Iterator[tuple[str, Verdict]]:
    for component in clusters.connected(_flat(group[1])):
        yield from clusters.verdicts(component).items()


def _flat(lists: Iterable[list]) -> Iterator:
    for part in lists:
        yield from part

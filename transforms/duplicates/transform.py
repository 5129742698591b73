"""Duplicate search as a Beam transform: a thin layer over the plain functions beside it."""

from collections.abc import Iterable, Iterator
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from transforms.duplicates import banding, hashing
from transforms.duplicates.components import ConnectedComponents
from transforms.duplicates.verdicts import Member, SetAside, verdicts
from transforms.grouping import divide, group_count, join
from transforms.keyed import keyed_hash
from transforms.scan import USABLE, Scanned, identity_key
from transforms.staging import FactsReader, StagingReader

LEVELS = ("off", "exact", "near", "thorough")

# What the search carries of an image.
CANDIDATE = np.dtype([(name, USABLE[name]) for name in ("place", "pixels", "fingerprint")])
_PAIR = np.dtype("<u8")
_CONFIRM_CHUNK = 512
_FACTS = ("image_id", "identity", "pixel_sha256", "width", "height", "sharpness")


class FindDuplicates(beam.PTransform):
    """Scanned -> SetAside of every new image that is the same picture as another.

    Args:
        staging: the staging folder.
        level: one of LEVELS.
        policy: for conflicts, see `transforms.duplicates.verdicts`.
        seed: of the keyed hashes.
        total: a PCollection of one number, how many images were listed.
    """

    def __init__(
        self, staging: str, level: str, policy: str, seed: int, total: beam.PCollection
    ) -> None:
        super().__init__()
        self._staging = staging
        self._level = level
        self._policy = policy
        self._seed = seed
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        if self._level == "off":
            return scanned | "None" >> beam.FlatMap(_nothing).with_output_types(SetAside)
        exact = (
            scanned
            | "ByPixels"
            >> beam.FlatMap(_by_pixels, self._total).with_output_types(tuple[int, bytes])
            | "GroupPixels" >> beam.GroupByKey()
            | "ExactGroups" >> beam.ParDo(_ExactGroups()).with_outputs("edges", main="unique")
        )
        edges = [exact.edges]
        if self._level != "exact":
            near = (
                exact.unique
                | "ToOnePlace" >> beam.Map(_one_place).with_output_types(tuple[int, bytes])
                | "GroupUnique" >> beam.GroupByKey()
                | "NearPairs" >> beam.FlatMap(_near_pairs).with_output_types(bytes)
                | "SpreadPairs" >> beam.Reshuffle()
                | "Confirm" >> beam.ParDo(_Confirm(self._staging)).with_output_types(bytes)
            )
            edges.append(near)
        return (
            edges
            | "Edges" >> beam.Flatten()
            | "Components" >> ConnectedComponents()
            | "Verdicts"
            >> beam.ParDo(_Verdicts(self._staging, self._policy, self._seed)).with_output_types(
                SetAside
            )
        )


def _nothing(scanned: Scanned) -> list[SetAside]:
    del scanned
    return []


def _by_pixels(scanned: Scanned, total: int) -> Iterable[tuple[int, bytes]]:
    rows = np.zeros(len(scanned.usable), CANDIDATE)
    for name in CANDIDATE.names or ():
        rows[name] = scanned.usable[name]
    return divide(rows, rows["pixels"][:, 0] % np.uint64(group_count(total)))


class _ExactGroups(beam.DoFn):
    """One representative of each group of equal pixels, and the edges within the group."""

    def process(
        self, group: tuple[int, Iterable[bytes]]
    ) -> Iterator[bytes | TaggedOutput[Literal["edges"], bytes]]:
        rows = join(group[1], CANDIDATE)
        order = np.lexsort((rows["place"], rows["pixels"][:, 1], rows["pixels"][:, 0]))
        rows = rows[order]
        first = np.r_[True, (rows["pixels"][1:] != rows["pixels"][:-1]).any(axis=1)]
        yield rows[first].tobytes()
        leaders = rows["place"][np.flatnonzero(first)[np.cumsum(first) - 1]]
        edges = np.stack([leaders[~first], rows["place"][~first]], axis=1)
        if len(edges):
            yield TaggedOutput("edges", edges.astype(_PAIR).tobytes())


def _one_place(unique: bytes) -> tuple[int, bytes]:
    return 0, unique


def _near_pairs(group: tuple[int, Iterable[bytes]]) -> Iterator[bytes]:
    rows = join(group[1], CANDIDATE)
    rows = rows[np.argsort(rows["place"])]
    hashes = np.ascontiguousarray(rows["fingerprint"])
    for band in range(banding.BANDS):
        pairs = rows["place"][banding.near_pairs(hashes, band)]
        for start in range(0, len(pairs), _CONFIRM_CHUNK):
            yield pairs[start : start + _CONFIRM_CHUNK].astype(_PAIR).tobytes()


class _Confirm(beam.DoFn):
    """Keeps the pairs whose thumbnails are correlated highly enough."""

    def __init__(self, staging: str) -> None:
        self._staging = staging

    def process(self, data: bytes) -> Iterator[bytes]:
        pairs = np.frombuffer(data, _PAIR).reshape(-1, 2)
        with StagingReader(self._staging) as staging:
            values = hashing.correlations(
                staging.thumbnails(pairs[:, 0]), staging.thumbnails(pairs[:, 1])
            )
        edges = pairs[values >= banding.MIN_CORRELATION]
        if len(edges):
            yield edges.tobytes()


class _Verdicts(beam.DoFn):
    """The places of one component -> what becomes of its images."""

    def __init__(self, staging: str, policy: str, seed: int) -> None:
        self._staging = staging
        self._policy = policy
        self._seed = seed

    def setup(self) -> None:
        self._facts = FactsReader(self._staging, _FACTS)

    def process(self, component: bytes) -> Iterator[SetAside]:
        members = {
            int(place): self._member(int(place)) for place in np.frombuffer(component, _PAIR)
        }
        for place, verdict in verdicts(list(members.values()), self._policy).items():
            member = members[place]
            yield SetAside(
                place=place,
                identity=identity_key(self._seed, member.identity),
                order=keyed_hash(self._seed, "order", member.image_id),
                verdict=verdict,
            )

    def _member(self, place: int) -> Member:
        facts = self._facts.row(place)
        return Member(
            place=place,
            image_id=facts["image_id"],
            identity=facts["identity"],
            pixel_sha256=facts["pixel_sha256"],
            area=facts["width"] * facts["height"],
            sharpness=facts["sharpness"],
        )

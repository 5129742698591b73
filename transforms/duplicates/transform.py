"""Duplicate search as a Beam transform: a thin layer over the plain functions beside it."""

from collections.abc import Iterable, Iterator
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from transforms.duplicates import banding, confirm, variants
from transforms.duplicates.connect import EDGE, ConnectedComponents
from transforms.duplicates.verdicts import Member, SetAside, verdicts
from transforms.grouping import divide, group_count, join
from transforms.keyed import keyed_hash, mixed
from transforms.scan import USABLE, Scanned, identity_key
from transforms.staging import FactsReader, StagingReader

LEVELS = ("off", "exact", "near", "thorough")

# What the search carries of an image.
CANDIDATE = np.dtype([(name, USABLE[name]) for name in ("place", "pixels", "fingerprint")])
_QUERY = np.dtype(
    [
        ("place", "<u8"),
        ("fingerprint", USABLE["fingerprint"]),
        ("windows", "u1", (variants.VARIANT_BYTES,)),
    ]
)
# A candidate pair: which variant of the first picture the second looks like.
_PAIR = np.dtype([("first", "<u8"), ("second", "<u8"), ("variant", "u1")])
_CONFIRM_CHUNK = 512
_FACTS = ("image_id", "identity", "pixel_sha256", "width", "height", "sharpness")
_QUERY_SALT = 48

# One worker searches so many hashes at once; of more, each sees those that share some bits.
_TOGETHER = 1 << 21
_EVERYTHING = -1


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
        self._total = total

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        if self._level == "off":
            return scanned | "None" >> beam.FlatMap(_nothing).with_output_types(SetAside)
        total = beam.pvalue.AsSingleton(self._total)
        exact = (
            scanned
            | "ByPixels" >> beam.FlatMap(_by_pixels, total).with_output_types(tuple[int, bytes])
            | "GroupPixels" >> beam.GroupByKey()
            | "ExactGroups" >> beam.ParDo(_ExactGroups()).with_outputs("edges", main="unique")
        )
        edges = [exact.edges]
        candidates = []
        if self._level != "exact":
            candidates.append(
                exact.unique
                | "ByPart" >> beam.FlatMap(_by_part, total).with_output_types(tuple[int, bytes])
                | "GroupParts" >> beam.GroupByKey()
                | "NearPairs" >> beam.FlatMap(_near_pairs).with_output_types(bytes)
            )
        if self._level == "thorough":
            # Every worker holds all hashes, and a part of what is looked up among them.
            hashes = beam.pvalue.AsIter(exact.unique)
            candidates.append(
                scanned
                | "Queries" >> beam.FlatMap(_queries, total).with_output_types(tuple[int, bytes])
                | "GroupQueries" >> beam.GroupByKey()
                | "CrossPairs" >> beam.FlatMap(_cross_pairs, hashes).with_output_types(bytes)
            )
        if candidates:
            edges.append(
                candidates
                | "Candidates" >> beam.Flatten()
                | "SpreadPairs" >> beam.Reshuffle()
                | "Confirm" >> beam.ParDo(_Confirm(self._staging)).with_output_types(bytes)
            )
        return (
            edges
            | "Edges" >> beam.Flatten()
            | "Connect" >> ConnectedComponents(self._total)
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
            yield TaggedOutput("edges", edges.astype(EDGE).tobytes())


def _by_part(unique: bytes, total: int) -> Iterator[tuple[int, bytes]]:
    """Rows to the parts in which near pairs meet: one part, or by some bits of each band."""
    bits = max(0, (total - 1) // _TOGETHER).bit_length()
    if bits == 0:
        yield _EVERYTHING, unique
        return
    rows = np.frombuffer(unique, CANDIDATE)
    values = banding.partition_keys(rows["fingerprint"], min(bits, banding.HALF_BITS))
    for band in range(banding.BANDS):
        for side in range(banding.SIDES):
            for value, part in divide(rows, values[:, band, side]):
                yield (band * banding.SIDES + side) << banding.HALF_BITS | value, part


def _near_pairs(group: tuple[int, Iterable[bytes]]) -> Iterator[bytes]:
    key, parts = group
    rows = join(parts, CANDIDATE)
    rows = rows[np.argsort(rows["place"])]
    band = side = None
    if key != _EVERYTHING:
        band, side = divmod(key >> banding.HALF_BITS, banding.SIDES)
    pairs = banding.near_pairs(rows["fingerprint"], band, side)
    yield from _in_chunks(rows["place"], pairs, np.zeros(len(pairs), np.uint8))


def _queries(scanned: Scanned, total: int) -> Iterable[tuple[int, bytes]]:
    rows = np.zeros(len(scanned.usable), _QUERY)
    rows["place"] = scanned.usable["place"]
    rows["fingerprint"] = scanned.usable["fingerprint"]
    rows["windows"] = scanned.windows
    return divide(rows, mixed(rows["place"], _QUERY_SALT) % np.uint64(group_count(total)))


def _cross_pairs(group: tuple[int, Iterable[bytes]], hashes: Iterable[bytes]) -> Iterator[bytes]:
    rows = join(hashes, CANDIDATE)
    rows = rows[np.argsort(rows["place"])]
    asking = join(group[1], _QUERY)
    # An image of equal pixels is asked for once, like it is found once.
    asking = asking[np.isin(asking["place"], rows["place"])]
    asking = asking[np.argsort(asking["place"])]
    if not len(asking):
        return
    queries = variants.queries(asking["fingerprint"], asking["windows"])
    own = np.searchsorted(rows["place"], asking["place"])
    pairs, variant = banding.cross_pairs(queries, own, rows["fingerprint"])
    yield from _in_chunks(rows["place"], pairs, variant)


def _in_chunks(places: np.ndarray, pairs: np.ndarray, variant: np.ndarray) -> Iterator[bytes]:
    found = np.zeros(len(pairs), _PAIR)
    found["first"], found["second"] = places[pairs[:, 0]], places[pairs[:, 1]]
    found["variant"] = variant
    for start in range(0, len(found), _CONFIRM_CHUNK):
        yield found[start : start + _CONFIRM_CHUNK].tobytes()


class _Confirm(beam.DoFn):
    """Keeps the pairs whose thumbnails show the same picture."""

    def __init__(self, staging: str) -> None:
        self._staging = staging

    def process(self, data: bytes) -> Iterator[bytes]:
        pairs = np.frombuffer(data, _PAIR)
        with StagingReader(self._staging) as staging:
            same = confirm.same_picture(
                staging.thumbnails(pairs["first"]),
                staging.thumbnails(pairs["second"]),
                pairs["variant"],
            )
        edges = np.stack([pairs["first"][same], pairs["second"][same]], axis=1)
        if len(edges):
            yield edges.astype(EDGE).tobytes()


class _Verdicts(beam.DoFn):
    """The places of one component -> what becomes of its images."""

    def __init__(self, staging: str, policy: str, seed: int) -> None:
        self._staging = staging
        self._policy = policy
        self._seed = seed

    def setup(self) -> None:
        self._facts = FactsReader(self._staging, _FACTS)

    def process(self, component: bytes) -> Iterator[SetAside]:
        members = {place: self._member(place) for place in np.frombuffer(component, EDGE).tolist()}
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

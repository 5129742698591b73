"""Duplicate search as a Beam transform: a thin layer over the plain functions beside it."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core.grouping import divide, group_count, join
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset.identity_filter import Chosen
from facemill.transforms.dataset.outcomes import REJECTED
from facemill.transforms.duplicates import confirm
from facemill.transforms.duplicates.candidates import HASH, PAIR
from facemill.transforms.duplicates.connect import EDGE, ConnectedComponents
from facemill.transforms.duplicates.left_out import verdicts_of_chosen
from facemill.transforms.duplicates.near_search import NearPairs
from facemill.transforms.duplicates.variant_search import VariantPairs
from facemill.transforms.duplicates.verdicts import Member, SetAside, Verdict
from facemill.transforms.scan.scan_chunk import USABLE, Scanned, identity_key
from facemill.transforms.scan.staging import FactsReader, StagingReader

LEVELS = ("off", "exact", "near", "thorough")

# What tells equal pixels, and what is searched further of one of them.
CANDIDATE = np.dtype(
    [
        *((name, USABLE[name]) for name in ("place", "pixels", "fingerprint")),
        # Of what a known set could not use, or set aside, there is no thumbnail.
        ("usable", "?"),
    ]
)
_FACTS = (
    *("image_id", "identity", "pixel_sha256", "width", "height", "sharpness"),
    *("reason", "outcome", "duplicate_of"),
)


class FindDuplicates(beam.PTransform):
    """Scanned -> SetAside of every new image that is the same picture as another.

    Of a dataset that is added to come those that a held-out set has too, and those that were
    dropped and are there again, see `transforms.duplicates.verdicts`.

    Args:
        staging: the staging folder.
        level: one of LEVELS.
        policy: for conflicts, see `transforms.duplicates.verdicts`.
        seed: of the keyed hashes.
        total: a PCollection of one number, how many images were listed.
        chosen: which identities the run is about.
    """

    def __init__(
        self,
        staging: str,
        level: str,
        policy: str,
        seed: int,
        total: beam.PCollection,
        chosen: Chosen,
    ) -> None:
        super().__init__()
        self._staging = staging
        self._level = level
        self._verdicts = _Verdicts(staging, policy, seed, chosen)
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
            hashes = exact.unique | "Hashes" >> beam.Map(_hashes).with_output_types(bytes)
            candidates.append(hashes | "NearPairs" >> NearPairs(self._total))
            if self._level == "thorough":
                candidates.append(hashes | "VariantPairs" >> VariantPairs(scanned, self._total))
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
            | "Verdicts" >> beam.ParDo(self._verdicts).with_output_types(SetAside)
        )


def _nothing(scanned: Scanned) -> list[SetAside]:
    del scanned
    return []


def _by_pixels(scanned: Scanned, total: int) -> Iterable[tuple[int, bytes]]:
    known = scanned.unusable[scanned.unusable["pixels"].any(axis=1)]
    rows = np.zeros(len(scanned.usable) + len(known), CANDIDATE)
    for name in ("place", "pixels"):
        rows[name] = np.concatenate([scanned.usable[name], known[name]])
    rows["fingerprint"][: len(scanned.usable)] = scanned.usable["fingerprint"]
    rows["usable"][: len(scanned.usable)] = True
    return divide(rows, rows["pixels"][:, 0] % np.uint64(group_count(total)))


class _ExactGroups(beam.DoFn):
    """One representative of each group of equal pixels, and the edges within the group."""

    def process(
        self, group: tuple[int, Iterable[bytes]]
    ) -> Iterator[bytes | TaggedOutput[Literal["edges"], bytes]]:
        rows = join(group[1], CANDIDATE)
        # What can be searched further comes first, and so represents its group.
        keys = rows["place"], ~rows["usable"], rows["pixels"][:, 1], rows["pixels"][:, 0]
        rows = rows[np.lexsort(keys)]
        first = np.r_[True, (rows["pixels"][1:] != rows["pixels"][:-1]).any(axis=1)]
        yield rows[first & rows["usable"]].tobytes()
        leaders = rows[np.flatnonzero(first)[np.cumsum(first) - 1]]
        # Where nothing can be used, nothing is new.
        some = ~first & leaders["usable"]
        edges = np.stack([leaders["place"][some], rows["place"][some]], axis=1)
        if len(edges):
            yield TaggedOutput("edges", edges.astype(EDGE).tobytes())


def _hashes(unique: bytes) -> bytes:
    candidates = np.frombuffer(unique, CANDIDATE)
    rows = np.zeros(len(candidates), HASH)
    for name in HASH.names or ():
        rows[name] = candidates[name]
    return rows.tobytes()


class _Confirm(beam.DoFn):
    """Keeps the pairs whose thumbnails show the same picture."""

    def __init__(self, staging: str) -> None:
        self._staging = staging

    def process(self, data: bytes) -> Iterator[bytes]:
        pairs = np.frombuffer(data, PAIR)
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

    def __init__(self, staging: str, policy: str, seed: int, chosen: Chosen) -> None:
        self._staging = staging
        self._policy = policy
        self._seed = seed
        self._chosen = chosen

    def setup(self) -> None:
        self._facts = FactsReader(self._staging, _FACTS)

    def process(self, component: bytes) -> Iterator[SetAside]:
        members = {place: self._member(place) for place in np.frombuffer(component, EDGE).tolist()}
        names = [identity_key(self._seed, one.identity) for one in members.values()]
        identities = dict(zip(members, names, strict=True))
        places, keys = (np.array(list(of), np.uint64) for of in (members, names))
        left_out = set(places[self._chosen.left_out(keys)].tolist())
        decided = verdicts_of_chosen(list(members.values()), self._policy, left_out)
        for place, verdict in decided.items():
            yield SetAside(
                place=place,
                identity=identities[place],
                order=keyed_hash(self._seed, "order", members[place].image_id),
                verdict=verdict,
            )

    def _member(self, place: int) -> Member:
        facts = self._facts.row(place)
        return Member(
            place=place,
            image_id=facts["image_id"],
            identity=facts["identity"],
            pixel_sha256=facts["pixel_sha256"],
            area=(facts["width"] or 0) * (facts["height"] or 0),
            sharpness=facts["sharpness"] or 0.0,
            aside=_aside(facts),
        )


def _aside(facts: dict[str, Any]) -> Verdict | None:
    if not facts["reason"]:
        return None
    return Verdict(facts["outcome"] or REJECTED, facts["reason"], facts["duplicate_of"] or "")

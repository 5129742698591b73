"""Duplicate search as a Beam transform: a thin layer over the plain functions beside it."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core.grouping import divide, group_count, join
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.reasons import from_columns
from facemill.transforms.dataset.identity_filter import IdentityFilter, identity_key
from facemill.transforms.dataset.outcomes import REJECTED
from facemill.transforms.duplicates import confirm
from facemill.transforms.duplicates.candidates import HASH, PAIR
from facemill.transforms.duplicates.connect import EDGE, ConnectedComponents
from facemill.transforms.duplicates.left_out import verdicts_of_filtered
from facemill.transforms.duplicates.near_search import NearPairs
from facemill.transforms.duplicates.variant_search import VariantPairs
from facemill.transforms.duplicates.verdicts import Exclusion, Member, Verdict
from facemill.transforms.scan.scan_chunk import USABLE, Scanned
from facemill.transforms.scan.staging import MetadataReader, StagingReader

# What tells equal pixels, and what is searched further of one of them.
CANDIDATE = np.dtype(
    [
        *((name, USABLE[name]) for name in ("row_id", "pixels", "fingerprint")),
        # Of what a known set could not use, or set aside, there is no thumbnail.
        ("usable", "?"),
    ]
)
_METADATA = (
    *("image_id", "identity", "pixel_sha256", "width", "height", "sharpness"),
    *("reason", "reason_code", "outcome", "duplicate_of"),
)


class FindDuplicates(beam.PTransform):
    """Scanned -> Exclusion of every new image that is the same picture as another.

    Of a dataset that is added to come those that a held-out set has too, and those that were
    dropped and are there again, see `transforms.duplicates.verdicts`.

    Args:
        staging: the staging folder.
        level: one of `transforms.duplicates.choices.LEVELS`.
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
        chosen: IdentityFilter,
    ) -> None:
        super().__init__()
        self._staging = staging
        self._level = level
        self._verdicts = _Verdicts(staging, policy, seed, chosen)
        self._total = total

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        if self._level == "off":
            return scanned | "None" >> beam.FlatMap(_nothing).with_output_types(Exclusion)
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
            | "Verdicts" >> beam.ParDo(self._verdicts).with_output_types(Exclusion)
        )


def _nothing(scanned: Scanned) -> list[Exclusion]:
    del scanned
    return []


def _by_pixels(scanned: Scanned, total: int) -> Iterable[tuple[int, bytes]]:
    known = scanned.unusable[scanned.unusable["pixels"].any(axis=1)]
    rows = np.zeros(len(scanned.usable) + len(known), CANDIDATE)
    for name in ("row_id", "pixels"):
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
        keys = rows["row_id"], ~rows["usable"], rows["pixels"][:, 1], rows["pixels"][:, 0]
        rows = rows[np.lexsort(keys)]
        first = np.r_[True, (rows["pixels"][1:] != rows["pixels"][:-1]).any(axis=1)]
        yield rows[first & rows["usable"]].tobytes()
        leaders = rows[np.flatnonzero(first)[np.cumsum(first) - 1]]
        # Where nothing can be used, nothing is new.
        some = ~first & leaders["usable"]
        edges = np.stack([leaders["row_id"][some], rows["row_id"][some]], axis=1)
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
            same = confirm.same_photo(
                staging.thumbnails(pairs["first"]),
                staging.thumbnails(pairs["second"]),
                pairs["variant"],
            )
        edges = np.stack([pairs["first"][same], pairs["second"][same]], axis=1)
        if len(edges):
            yield edges.astype(EDGE).tobytes()


class _Verdicts(beam.DoFn):
    """The places of one component -> what becomes of its images."""

    def __init__(self, staging: str, policy: str, seed: int, chosen: IdentityFilter) -> None:
        self._staging = staging
        self._policy = policy
        self._seed = seed
        self._identity_filter = chosen

    def setup(self) -> None:
        self._metadata = MetadataReader(self._staging, _METADATA)

    def process(self, component: bytes) -> Iterator[Exclusion]:
        members = {
            row_id: self._member(row_id) for row_id in np.frombuffer(component, EDGE).tolist()
        }
        names = [identity_key(self._seed, one.identity) for one in members.values()]
        identities = dict(zip(members, names, strict=True))
        row_ids, keys = (np.array(list(of), np.uint64) for of in (members, names))
        left_out = set(row_ids[self._identity_filter.left_out(keys)].tolist())
        decided = verdicts_of_filtered(list(members.values()), self._policy, left_out)
        for row_id, verdict in decided.items():
            yield Exclusion(
                row_id=row_id,
                identity=identities[row_id],
                order=keyed_hash(self._seed, "order", members[row_id].image_id),
                verdict=verdict,
            )

    def _member(self, row_id: int) -> Member:
        metadata = self._metadata.row(row_id)
        return Member(
            row_id=row_id,
            image_id=metadata["image_id"],
            identity=metadata["identity"],
            pixel_sha256=metadata["pixel_sha256"],
            area=(metadata["width"] or 0) * (metadata["height"] or 0),
            sharpness=metadata["sharpness"] or 0.0,
            aside=_aside(metadata),
        )


def _aside(metadata: dict[str, Any]) -> Verdict | None:
    reason = from_columns(metadata["reason"], metadata["reason_code"])
    if reason is None:
        return None
    return Verdict(metadata["outcome"] or REJECTED, reason, metadata["duplicate_of"] or "")

"""The duplicate search as a Beam transform, over the plain functions of the modules beside it."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.merging import Merge
from facemill.transforms.core.reasons import from_columns
from facemill.transforms.core.rows import RowIds, Rows
from facemill.transforms.dataset.identity_filter import IdentityFilter, identity_key
from facemill.transforms.dataset.outcomes import REJECTED
from facemill.transforms.duplicates import confirm
from facemill.transforms.duplicates.budget import by_owner, nearest_of_owners, owners
from facemill.transforms.duplicates.candidates import HASH, HashRows, PairRows
from facemill.transforms.duplicates.choices import COPY_DIFFERENCE
from facemill.transforms.duplicates.connect import ConnectedComponents, EdgeRows
from facemill.transforms.duplicates.left_out import verdicts_of_star
from facemill.transforms.duplicates.near_search import NearPairs
from facemill.transforms.duplicates.notes import Notes, note
from facemill.transforms.duplicates.preference import compared
from facemill.transforms.duplicates.stars import stars
from facemill.transforms.duplicates.variant_search import VariantPairs
from facemill.transforms.duplicates.verdicts import Exclusion, Member, Verdict
from facemill.transforms.scan.scan_chunk import USABLE, Scanned
from facemill.transforms.scan.staging import MetadataReader, StagingReader

# What finds equal pixels, and what the further search needs of their representative.
CANDIDATE = np.dtype(
    [
        *((name, USABLE[name]) for name in ("row_id", "pixels", "fingerprint")),
        # An image that a reference set could not use, or excluded, has no thumbnail.
        ("usable", "?"),
    ]
)


class CandidateRows(Rows):
    """CANDIDATE rows."""

    __slots__ = ()
    dtype = CANDIDATE


register(CandidateRows, EdgeRows, HashRows, PairRows, RowIds, Exclusion)

_METADATA = (
    *("image_id", "identity", "pixel_sha256", "width", "height", "sharpness"),
    *("reason", "reason_code", "outcome", "duplicate_of"),
    *("attributes", "colorfulness", "border", "bytes"),
)


class FindDuplicates(beam.PTransform):
    """Scanned -> Exclusion of every new image that is a duplicate of another.

    Of the base come exclusions of the images that a held-out set has too, and of dropped images
    that are in the input again, see `transforms.duplicates.verdicts`.

    Args:
        staging: the staging folder.
        level: one of `transforms.duplicates.choices.LEVELS`.
        policy: for conflicts, see `transforms.duplicates.verdicts`.
        seed: of the keyed hashes.
        total: a PCollection of one number, how many images were listed.
        identity_filter: which identities the run includes and excludes.
        copy_difference: largest local difference of copies, see `confirm.Comparison`.
    """

    def __init__(
        self,
        staging: str,
        level: str,
        policy: str,
        seed: int,
        total: beam.PCollection,
        identity_filter: IdentityFilter,
        copy_difference: float = COPY_DIFFERENCE,
    ) -> None:
        super().__init__()
        self._staging = staging
        self._level = level
        self._least = 1 - copy_difference
        self._verdicts = _Verdicts(staging, level, policy, seed, identity_filter, self._least)
        self._total = total

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        if self._level == "off":
            return scanned | "None" >> beam.FlatMap(_nothing).with_output_types(Exclusion)
        total = beam.pvalue.AsSingleton(self._total)
        exact = (
            scanned
            | "ByPixels"
            >> beam.FlatMap(_by_pixels, total).with_output_types(tuple[int, CandidateRows])
            | "GroupPixels" >> beam.GroupByKey()
            | "ExactGroups" >> beam.ParDo(_ExactGroups()).with_outputs("edges", main="unique")
        )
        edges = [exact.edges]
        candidates = []
        if self._level != "exact":
            hashes = exact.unique | "Hashes" >> beam.Map(_hashes).with_output_types(HashRows)
            candidates.append(hashes | "NearPairs" >> NearPairs(self._total))
            if self._level == "thorough":
                candidates.append(hashes | "VariantPairs" >> VariantPairs(scanned, self._total))
        if candidates:
            edges.append(
                tuple(candidates)
                | "Candidates" >> Merge()
                | "ByOwner" >> beam.FlatMap(by_owner, total).with_output_types(tuple[int, PairRows])
                | "GroupOwners" >> beam.GroupByKey()
                | "NearestOfOwners" >> beam.FlatMap(nearest_of_owners).with_output_types(PairRows)
                | "SpreadPairs" >> beam.Reshuffle()
                | "Confirm"
                >> beam.ParDo(_Confirm(self._staging, self._least)).with_output_types(EdgeRows)
            )
        return (
            tuple(edges)
            | "Edges" >> Merge()
            | "Connect" >> ConnectedComponents(self._total)
            | "Verdicts" >> beam.ParDo(self._verdicts).with_output_types(Exclusion)
        )


def _nothing(scanned: Scanned) -> list[Exclusion]:
    del scanned
    return []


def _by_pixels(scanned: Scanned, total: int) -> Iterable[tuple[int, CandidateRows]]:
    unusable = scanned.unusable[scanned.unusable["pixels"].any(axis=1)]
    rows = np.zeros(len(scanned.usable) + len(unusable), CANDIDATE)
    for name in ("row_id", "pixels"):
        rows[name] = np.concatenate([scanned.usable[name], unusable[name]])
    rows["fingerprint"][: len(scanned.usable)] = scanned.usable["fingerprint"]
    rows["usable"][: len(scanned.usable)] = True
    return CandidateRows.divide(rows, rows["pixels"][:, 0] % np.uint64(group_count(total)))


class _ExactGroups(beam.DoFn):
    """One representative of each group of equal pixels, and the edges within the group."""

    def process(
        self, group: tuple[int, Iterable[CandidateRows]]
    ) -> Iterator[CandidateRows | TaggedOutput[Literal["edges"], EdgeRows]]:
        rows = CandidateRows.join(group[1])
        # A usable image comes first, and so represents its group: it can be searched further.
        keys = rows["row_id"], ~rows["usable"], rows["pixels"][:, 1], rows["pixels"][:, 0]
        rows = rows[np.lexsort(keys)]
        first = np.r_[True, (rows["pixels"][1:] != rows["pixels"][:-1]).any(axis=1)]
        yield CandidateRows.of(rows[first & rows["usable"]])
        leaders = rows[np.flatnonzero(first)[np.cumsum(first) - 1]]
        # A group without a usable image has no new image.
        some = ~first & leaders["usable"]
        edges = np.stack([leaders["row_id"][some], rows["row_id"][some]], axis=1)
        if len(edges):
            yield TaggedOutput("edges", EdgeRows.of(edges))


def _hashes(unique: CandidateRows) -> HashRows:
    candidates = unique.array
    rows = np.zeros(len(candidates), HASH)
    for name in HASH.names or ():
        rows[name] = candidates[name]
    return HashRows.of(rows)


class _Confirm(beam.DoFn):
    """Keeps the pairs that show the same photo."""

    def __init__(self, staging: str, least: float) -> None:
        self._staging = staging
        self._least = least

    def process(self, candidates: PairRows) -> Iterator[EdgeRows]:
        pairs = candidates.array
        with StagingReader(self._staging) as staging:
            compared, done = confirm.confirm_staged(staging, pairs, self._least)
        owner = owners(pairs)
        cut_short = len(np.unique(owner[~done]))
        # An owner is in one element, so the first one's row id is a key.
        note(self._staging, int(owner[0]), Notes(int(compared.alike().sum()), cut_short))
        same = compared.same()
        edges = np.stack([pairs["first"][same], pairs["second"][same]], axis=1)
        if len(edges):
            yield EdgeRows.of(edges)


class _Verdicts(beam.DoFn):
    """The row ids of one component -> an Exclusion of each image that gets a verdict."""

    def __init__(
        self,
        staging: str,
        level: str,
        policy: str,
        seed: int,
        identity_filter: IdentityFilter,
        least: float,
    ) -> None:
        self._staging = staging
        self._least = least
        self._thorough = level == "thorough"
        self._policy = policy
        self._seed = seed
        self._identity_filter = identity_filter

    def setup(self) -> None:
        self._metadata = MetadataReader(self._staging, _METADATA)

    def process(self, component: RowIds) -> Iterator[Exclusion]:
        self._metadata.prefetch(component.array.tolist())
        members = {row_id: self._member(row_id) for row_id in component.array.tolist()}
        names = [identity_key(self._seed, one.identity) for one in members.values()]
        identities = dict(zip(members, names, strict=True))
        row_ids, keys = (np.array(list(of), np.uint64) for of in (members, names))
        left_out = set(row_ids[self._identity_filter.left_out(keys)].tolist())
        copies = compared(list(members.values()), self._staging)
        with StagingReader(self._staging) as staging:
            groups = stars(
                copies,
                left_out,
                self._least,
                lambda row_id, others: confirm.staged_similarity(
                    staging, [(row_id, other) for other in others], self._thorough, self._least
                ),
            )
        for star in groups:
            for row_id, verdict in verdicts_of_star(star, self._policy, left_out).items():
                yield Exclusion(
                    row_id=row_id,
                    identity=identities[row_id],
                    order=keyed_hash(self._seed, "order", members[row_id].image_id),
                    verdict=verdict,
                )

    def _member(self, row_id: int) -> Member:
        metadata = self._metadata.row(row_id)
        area = (metadata["width"] or 0) * (metadata["height"] or 0)
        return Member(
            row_id=row_id,
            image_id=metadata["image_id"],
            identity=metadata["identity"],
            pixel_sha256=metadata["pixel_sha256"],
            area=area,
            sharpness=metadata["sharpness"] or 0.0,
            earlier_verdict=_earlier_verdict(metadata),
            attributes=tuple(metadata["attributes"] or ()),
            colorfulness=metadata["colorfulness"] or 0.0,
            border=metadata["border"] or 0.0,
            density=(metadata["bytes"] or 0) / max(1, area),
            suffix=os.path.splitext(metadata["image_id"])[1].lower(),
        )


def _earlier_verdict(metadata: dict[str, Any]) -> Verdict | None:
    reason = from_columns(metadata["reason"], metadata["reason_code"])
    if reason is None:
        return None
    return Verdict(metadata["outcome"] or REJECTED, reason, metadata["duplicate_of"] or "")

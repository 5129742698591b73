"""What stays of each identity: verdicts on duplicates, held-out names, balance, split."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from transforms.duplicates.clusters import Verdict
from transforms.keyed import keyed_hash
from transforms.rows import DROPPED, KEPT, Photo, Row, partition
from transforms.splits import split_of

SET_ASIDE_TAG = "set_aside"

_PARTITIONS = 64


@dataclass(frozen=True)
class Selection:
    """The rules.

    Attributes:
        min_images: identities with fewer surviving images are dropped.
        max_images: of an identity with more, so many are drawn by keyed hash; None for all.
        fractions: (split, share of the identities), summing to 1.
        seed: of the draws.
        include: only these identities, or None for all.
        exclude: never these.
    """

    min_images: int
    max_images: int | None
    fractions: Sequence[tuple[str, float]]
    seed: int
    include: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()


def select(
    photos: Iterable[Photo], verdicts: Mapping[str, Verdict], rules: Selection
) -> tuple[list[Photo], list[Row]]:
    """Decides on all images of one identity.

    Duplicates come first, so that a held-out identity's picture under another name is found
    even though the held-out identity itself is left out.

    Args:
        photos: every decoded image of the identity.
        verdicts: by image_id, of those that duplicate search sets aside.
        rules: see `Selection`.

    Returns:
        (kept photos, with outcome and split; rows of the others), each by image_id.
    """
    surviving, aside = [], []
    for photo in sorted(photos, key=lambda one: one.row.image_id):
        verdict = verdicts.get(photo.row.image_id)
        if verdict is None:
            surviving.append(photo)
        else:
            aside.append(
                replace(
                    photo.row,
                    outcome=verdict.outcome,
                    reason=verdict.reason,
                    duplicate_of=verdict.duplicate_of,
                )
            )
    if not surviving:
        return [], aside
    identity = surviving[0].row.identity or ""
    reason = _why_dropped(identity, len(surviving), rules)
    if reason:
        aside += [_dropped(photo, reason) for photo in surviving]
        return [], sorted(aside, key=lambda row: row.image_id)
    if rules.max_images is not None and len(surviving) > rules.max_images:
        drawn = sorted(
            surviving,
            key=lambda one: (keyed_hash(rules.seed, "balance", one.row.image_id), one.row.image_id),
        )
        reason = f"identity has {len(surviving)} images, more than the {rules.max_images} allowed"
        aside += [_dropped(photo, reason) for photo in drawn[rules.max_images :]]
        surviving = drawn[: rules.max_images]
    split = split_of(identity, rules.seed, rules.fractions)
    kept = [
        replace(photo, row=replace(photo.row, outcome=KEPT, reason="", split=split))
        for photo in sorted(surviving, key=lambda one: one.row.image_id)
    ]
    return kept, sorted(aside, key=lambda row: row.image_id)


class SelectImages(beam.PTransform):
    """list[Photo] -> list[Photo] that are kept, and list[Row] of the rest under "set_aside".

    Args:
        verdicts: (image_id, Verdict) of what duplicate search sets aside.
        rules: see `Selection`.
    """

    def __init__(self, verdicts: beam.PCollection, rules: Selection) -> None:
        super().__init__()
        self._verdicts = verdicts
        self._rules = rules

    def expand(self, photos: beam.PCollection) -> Any:
        """Builds the graph."""
        return (
            photos
            | "ByIdentity" >> beam.FlatMap(_by_identity).with_output_types(tuple[int, list[Photo]])
            | "GroupIdentities" >> beam.GroupByKey()
            | "Select"
            >> beam.ParDo(_Select(self._rules), beam.pvalue.AsDict(self._verdicts)).with_outputs(
                SET_ASIDE_TAG, main="kept"
            )
        )


def _by_identity(photos: list[Photo]) -> Iterable[tuple[int, list[Photo]]]:
    parts = partition(
        photos, lambda photo: keyed_hash(0, "identity", photo.row.identity or "") % _PARTITIONS
    )
    return parts.items()


class _Select(beam.DoFn):
    def __init__(self, rules: Selection) -> None:
        self._rules = rules

    def process(
        self, group: tuple[int, Iterable[list[Photo]]], verdicts: Mapping[str, Verdict]
    ) -> Iterator[list[Photo] | TaggedOutput[Literal["set_aside"], list[Row]]]:
        photos = [photo for part in group[1] for photo in part]
        by_identity = partition(photos, lambda photo: photo.row.identity or "")
        for identity in sorted(by_identity):
            kept, aside = select(by_identity[identity], verdicts, self._rules)
            if kept:
                yield kept
            if aside:
                yield TaggedOutput(SET_ASIDE_TAG, aside)


def _why_dropped(identity: str, count: int, rules: Selection) -> str:
    if identity in rules.exclude:
        return "identity is excluded"
    if rules.include is not None and identity not in rules.include:
        return "identity is not among those included"
    if count < rules.min_images:
        return f"identity has {count} images, fewer than the {rules.min_images} required"
    return ""


def _dropped(photo: Photo, reason: str) -> Row:
    return replace(photo.row, outcome=DROPPED, reason=reason)

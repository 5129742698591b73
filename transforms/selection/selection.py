"""The selection: which images of each identity are kept, and in which split."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core import row_ids as origins
from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.core.merging import CoGroup
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.row_ids import origin_of_chunk
from facemill.transforms.core.rows import KeyRows, Rows
from facemill.transforms.dataset.identity_filter import NO_IDENTITY, IdentityFilter
from facemill.transforms.dataset.split_names import FOLDERS, SPLITS, UNLABELED
from facemill.transforms.dataset.splits import (
    SplitRequestRows,
    draw_splits,
    resolve_split_requests,
    split_requests,
)
from facemill.transforms.duplicates.verdicts import Exclusion
from facemill.transforms.scan.scan_chunk import Scanned
from facemill.transforms.selection.apply import apply
from facemill.transforms.selection.by_attribute import BalanceAttribute
from facemill.transforms.selection.choices import BY_IDENTITY, BY_IMAGE, DRAWN
from facemill.transforms.selection.decisions import (
    DECISION,
    EXCLUDED,
    HELD_OUT,
    KEEP,
    NOT_INCLUDED,
    OF_ATTRIBUTE,
    TOO_FEW,
    TOO_MANY,
    TWO_SPLITS,
    DecisionRows,
    is_new,
)
from facemill.transforms.selection.rules import Rule, give_weights

# The columns that the selection takes from the scan; a runner may keep all of them in memory.
_SCANNED = ("row_id", "identity", "order", "group", "sharpness", "split")
_UNDECIDED = np.dtype([(name, DECISION[name]) for name in (*_SCANNED, "reason")])


class UndecidedRows(Rows):
    """Rows that the selection groups before it decides."""

    __slots__ = ()
    dtype = _UNDECIDED


register(UndecidedRows, DecisionRows, SplitRequestRows, KeyRows)

_IMAGE_SPLIT_SALT = 2


@dataclass(frozen=True)
class Selection:
    """The rules of the selection.

    Attributes:
        fractions: (split, share), summing to 1.
        split_by: `identity`, so that no identity is in two splits, or `image` for closed-set
            training.
        listed: (split, keys of identities that go there, whatever fractions and source say).
        rules: of balance, see `transforms.selection.rules.in_order`.
        prefer: `hash` or `quality`: which images of a class a cap keeps.
        identity_filter: which identities the run includes and excludes.
    """

    fractions: Sequence[tuple[str, float]]
    split_by: str = BY_IDENTITY
    listed: tuple[tuple[str, np.ndarray], ...] = ()
    rules: tuple[Rule, ...] = ()
    prefer: str = DRAWN
    identity_filter: IdentityFilter = field(default_factory=IdentityFilter)

    @property
    def weighted(self) -> bool:
        """Whether a rule gives images weights."""
        return give_weights(rule.kind for rule in self.rules)

    @property
    def columns(self) -> tuple[str, ...]:
        """Attributes that rules name."""
        return tuple(dict.fromkeys(rule.column for rule in self.rules if rule.column))

    @property
    def stages(self) -> list[list[Rule]]:
        """Consecutive rules of one kind: of identities, of the attribute, of identities and so on.

        The first stage is always of identities, and may be empty: images are grouped by identity
        first.
        """
        by_kind = itertools.groupby(self.rules, lambda rule: rule.column is None)
        stages = [(of_identity, list(rules)) for of_identity, rules in by_kind]
        rules_of_stages = [rules for _, rules in stages]
        return rules_of_stages if stages and stages[0][0] else [[], *rules_of_stages]


def undecided(usable: np.ndarray) -> np.ndarray:
    """DECISION [N] of USABLE [N]; `split` holds the split request of the source, or -1.

    A column `reason` is copied if the rows have one.
    """
    rows = np.zeros(len(usable), DECISION)
    for name in {*_SCANNED, "reason"} & set(usable.dtype.names or ()):
        rows[name] = usable[name]
    rows["copies"] = 1
    rows["weight"] = 1.0
    return rows


def select(
    rows: np.ndarray, selection: Selection, held_out: np.ndarray, requests: np.ndarray
) -> None:
    """Decides on images of whole identities, in place.

    The duplicate search comes first and sees all identities, so it has found images of held-out
    and excluded identities under other identities too.

    Args:
        rows: DECISION [N], see `undecided`; all images of an identity or none. Images of the base
            count in their class, and are not changed.
        selection: see `Selection`.
        held_out: uint64, keys of the identities of a held-out set.
        requests: SPLIT_REQUEST [K], of images that are not among the rows: a split request counts
            for the identity even if its image cannot be used.
    """
    named = rows["identity"] != NO_IDENTITY
    _drop(rows, named & np.isin(rows["identity"], held_out), HELD_OUT)
    _drop(rows, selection.identity_filter.excluded(rows["identity"]), EXCLUDED)
    _drop(rows, selection.identity_filter.not_included(rows["identity"]), NOT_INCLUDED)
    _split(rows, selection, requests)
    for rule in selection.stages[0]:
        apply(rows, rule, "identity", selection.prefer)


def explain(reason: int, have: int, limit: int, column: str | None) -> Reason | None:
    """The reason that the index gives for a decision, or None for an image that is kept.

    Args:
        reason: why an image is not kept, see `transforms.selection.decisions`.
        have: how many images its class has.
        limit: how many it must or may have.
        column: the attribute of the last rules of balance, or None.
    """
    if reason == KEEP:
        return None
    by_class = f"identity has {have} images"
    if reason > TOO_MANY:
        by_class = f"its {column} has {have} images"
    too_few = f"{by_class}, fewer than the {limit} required"
    too_many = f"{by_class}, more than the {limit} allowed"
    return {
        EXCLUDED: Reason(ReasonCode.EXCLUDED_IDENTITY, "identity is excluded"),
        NOT_INCLUDED: Reason(
            ReasonCode.IDENTITY_NOT_INCLUDED, "identity is not among those included"
        ),
        HELD_OUT: Reason(ReasonCode.HELD_OUT_IDENTITY, "identity is in the held-out set"),
        TWO_SPLITS: Reason(ReasonCode.TWO_SPLITS, "two splits are asked for its identity"),
        TOO_FEW: Reason(ReasonCode.IDENTITY_TOO_SMALL, too_few),
        TOO_MANY: Reason(ReasonCode.IDENTITY_TOO_LARGE, too_many),
        TOO_FEW + OF_ATTRIBUTE: Reason(ReasonCode.ATTRIBUTE_TOO_SMALL, too_few),
        TOO_MANY + OF_ATTRIBUTE: Reason(ReasonCode.ATTRIBUTE_TOO_LARGE, too_many),
    }[reason]


_HELD_OUT_TAG, _REQUESTS_TAG = "held_out", "requests"


class SelectImages(beam.PTransform):
    """Scanned -> DecisionRows of all new images without an exclusion.

    Images of the base and of a held-out set influence the decisions, and get none.

    Args:
        exclusions: a PCollection of Exclusion.
        selection: see `Selection`.
        total: a PCollection of one number, how many images were listed.
    """

    def __init__(
        self, exclusions: beam.PCollection, selection: Selection, total: beam.PCollection
    ) -> None:
        super().__init__()
        self._exclusions = exclusions
        self._selection = selection
        self._images = total
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, scanned: beam.PCollection) -> Any:
        """Builds the graph."""
        divided = scanned | "ByIdentity" >> beam.ParDo(_ByIdentity(), self._total).with_outputs(
            _HELD_OUT_TAG, _REQUESTS_TAG, main="rows"
        )
        exclusions = self._exclusions | "ExclusionsByIdentity" >> beam.Map(
            _exclusion_by_identity, self._total
        ).with_output_types(tuple[int, int])
        decided = (
            {
                "rows": divided.rows,
                "held_out": divided[_HELD_OUT_TAG],
                "excluded": exclusions,
                "requests": divided[_REQUESTS_TAG],
            }
            | "GroupIdentities" >> CoGroup()
            | "Select" >> beam.FlatMap(_select, self._selection).with_output_types(DecisionRows)
        )
        for number, rules in enumerate(self._selection.stages[1:], start=1):
            decided = decided | f"Balance{number}" >> self._balance(rules)
        return decided | "New" >> beam.Map(_only_new).with_output_types(DecisionRows)

    def _balance(self, rules: Sequence[Rule]) -> beam.PTransform:
        if rules[0].column is not None:
            return BalanceAttribute(rules, self._selection.prefer, self._images)
        return _BalanceIdentities(rules, self._selection.prefer, self._total)


class _BalanceIdentities(beam.PTransform):
    """DecisionRows -> the same after rules of identities that follow rules of an attribute."""

    def __init__(self, rules: Sequence[Rule], prefer: str, total: beam.pvalue.AsSingleton) -> None:
        super().__init__()
        self._rules = rules
        self._prefer = prefer
        self._total = total

    def expand(self, decided: beam.PCollection) -> beam.PCollection:
        return (
            decided
            | "ByIdentity"
            >> beam.FlatMap(_decided_by_identity, self._total).with_output_types(
                tuple[int, DecisionRows]
            )
            | "GroupIdentities" >> beam.GroupByKey()
            | "Balance"
            >> beam.Map(_balance_identities, self._rules, self._prefer).with_output_types(
                DecisionRows
            )
        )


class _ByIdentity(beam.DoFn):
    """Scanned -> its rows by identity, and under tags the keys of a held-out set and split
    requests. One step, because each that takes the number of images begins a stage on a portable
    runner.
    """

    def process(
        self, scanned: Scanned, total: int
    ) -> Iterator[
        tuple[int, UndecidedRows]
        | TaggedOutput[Literal["held_out"], tuple[int, KeyRows]]
        | TaggedOutput[Literal["requests"], tuple[int, SplitRequestRows]]
    ]:
        yield from _by_identity(scanned, total)
        for keys in _held_out(scanned, total):
            yield TaggedOutput(_HELD_OUT_TAG, keys)
        for requests in _split_requests(scanned, total):
            yield TaggedOutput(_REQUESTS_TAG, requests)


def _by_identity(scanned: Scanned, total: int) -> Iterable[tuple[int, UndecidedRows]]:
    if origin_of_chunk(scanned.chunk) == origins.HELD_OUT:
        return ()
    # Images that the base dropped for the size of their class count in it; other unusable ones
    # do not.
    dropped = scanned.unusable[scanned.unusable["counts"]]
    rows = np.zeros(len(scanned.usable) + len(dropped), _UNDECIDED)
    rows["split"], rows["reason"][len(scanned.usable) :] = -1, TOO_FEW
    for name in _SCANNED:
        rows[name][: len(scanned.usable)] = scanned.usable[name]
    for name in ("row_id", "identity", "order"):
        rows[name][len(scanned.usable) :] = dropped[name]
    return UndecidedRows.divide(rows, _groups(rows, total))


def _held_out(scanned: Scanned, total: int) -> Iterable[tuple[int, KeyRows]]:
    if origin_of_chunk(scanned.chunk) != origins.HELD_OUT:
        return ()
    # An identity is in the held-out set even if none of its images can be used.
    keys = np.union1d(scanned.usable["identity"], scanned.unusable["identity"])
    keys = keys[keys != NO_IDENTITY]
    return KeyRows.divide(keys, keys % np.uint64(group_count(total)))


def _exclusion_by_identity(exclusion: Exclusion, total: int) -> tuple[int, int]:
    key = exclusion.identity if exclusion.identity != NO_IDENTITY else exclusion.order
    return key % group_count(total), exclusion.row_id


def _split_requests(scanned: Scanned, total: int) -> Iterable[tuple[int, SplitRequestRows]]:
    # Split requests of a held-out set do not apply to the input.
    if origin_of_chunk(scanned.chunk) == origins.HELD_OUT:
        return ()
    return SplitRequestRows.divide(
        scanned.split_requests, scanned.split_requests["identity"] % np.uint64(group_count(total))
    )


def _groups(rows: np.ndarray, total: int) -> np.ndarray:
    """The group of each row, the same for all images of an identity: uint64 [N]."""
    # Images without an identity are no class, so they need not be in one group.
    keys = np.where(rows["identity"] == NO_IDENTITY, rows["order"], rows["identity"])
    return keys % np.uint64(group_count(total))


def _decided_by_identity(decided: DecisionRows, total: int) -> Iterator[tuple[int, DecisionRows]]:
    rows = decided.array
    yield from DecisionRows.divide(rows, _groups(rows, total))


def _balance_identities(
    group: tuple[int, Iterable[DecisionRows]], rules: Sequence[Rule], prefer: str
) -> DecisionRows:
    rows = DecisionRows.join(group[1])
    for rule in rules:
        apply(rows, rule, "identity", prefer)
    return DecisionRows.of(rows)


def _select(
    group: tuple[int, dict[str, Iterable[Any]]], selection: Selection
) -> Iterator[DecisionRows]:
    rows = undecided(UndecidedRows.join(group[1]["rows"]))
    excluded = np.isin(rows["row_id"], np.fromiter(group[1]["excluded"], np.uint64))
    requests = SplitRequestRows.join(group[1]["requests"])
    requests = np.concatenate([requests, _requests_of(rows[excluded])])
    rows = rows[~excluded]
    held_out = KeyRows.join(group[1]["held_out"])
    select(rows, selection, held_out, requests)
    if len(rows):
        yield DecisionRows.of(rows)


def _only_new(decided: DecisionRows) -> DecisionRows:
    rows = decided.array
    return DecisionRows.of(rows[is_new(rows)])


def _split(rows: np.ndarray, selection: Selection, requests: np.ndarray) -> None:
    """Puts each image into a split; images without identity into `unlabeled`."""
    named = rows["identity"] != NO_IDENTITY
    if selection.split_by == BY_IMAGE:
        hashes = splitmix64(rows["order"], _IMAGE_SPLIT_SALT)
        drawn = draw_splits(hashes, selection.fractions)
        rows["split"] = np.where(rows["split"] >= 0, rows["split"], drawn)
    else:
        new = is_new(rows)
        requests = _with_listed(
            rows["identity"], np.concatenate([requests, _requests_of(rows[new])]), selection.listed
        )
        # Neither source nor list moves images of the base: their split is one more request.
        requested, conflicting = resolve_split_requests(
            rows["identity"], np.concatenate([requests, _requests_of(rows[~new])])
        )
        drawn = draw_splits(rows["identity"], selection.fractions)
        rows["split"] = np.where(requested >= 0, requested, drawn)
        _drop(rows, conflicting, TWO_SPLITS)
    rows["split"][~named] = FOLDERS.index(UNLABELED)


def _requests_of(rows: np.ndarray) -> np.ndarray:
    """SPLIT_REQUEST of the `split` column of DECISION rows."""
    return split_requests(rows["identity"], rows["split"])


def _with_listed(
    identities: np.ndarray, requests: np.ndarray, lists: Sequence[tuple[str, np.ndarray]]
) -> np.ndarray:
    """SPLIT_REQUEST after the user's lists, which replace the requests of the source.

    Args:
        identities: uint64 [N], of the images.
        requests: SPLIT_REQUEST [K], by the source.
        lists: see `Selection.listed`.
    """
    for name, keys in lists:
        present = np.intersect1d(identities, keys)
        others = requests[~np.isin(requests["identity"], keys)]
        listed = split_requests(present, np.full(len(present), SPLITS.index(name), np.int8))
        requests = np.concatenate([others, listed])
    return requests


def _drop(rows: np.ndarray, dropped_rows: np.ndarray, reason: int) -> None:
    rows["reason"][dropped_rows & is_new(rows) & (rows["reason"] == KEEP)] = reason

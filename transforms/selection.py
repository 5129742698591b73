"""What stays of each identity: held-out names, balance, split."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np

from transforms import places as origins
from transforms.balance_attribute import BalanceAttribute
from transforms.balance_rules import Rule
from transforms.balancing import apply
from transforms.decisions import (
    DECISION,
    EXCLUDED,
    HELD_OUT,
    KEEP,
    NOT_INCLUDED,
    OF_ATTRIBUTE,
    TOO_FEW,
    TOO_MANY,
    TRAIN,
    TWO_SPLITS,
    is_new,
)
from transforms.duplicates.verdicts import HELD_OUT_NOTE, SetAside
from transforms.grouping import divide, group_count, join
from transforms.keyed import mixed
from transforms.outcomes import ATTRIBUTE_HAS, IDENTITY_HAS, IDENTITY_IS
from transforms.places import origin_of_chunk
from transforms.scan import NO_IDENTITY, Scanned
from transforms.splits import FOLDERS, SPLITS, UNLABELED, draw_splits

# What the selection takes from the scan; an engine may keep all of it in memory.
_SCANNED = ("place", "identity", "order", "group", "sharpness", "split")
_UNDECIDED = np.dtype([(name, DECISION[name]) for name in (*_SCANNED, "reason")])

_IMAGE_SPLIT_SALT = 2


@dataclass(frozen=True)
class Selection:
    """The rules.

    Attributes:
        fractions: (split, share), summing to 1.
        split_by: `identity`, so that nobody is in two splits, or `image` for closed-set work.
        listed: (split, keys of identities that belong there whatever the shares).
        rules: of balance, in order; those of identities come before those of an attribute.
        prefer: `hash` or `quality`: which images of a class stay under a cap.
        include: keys of the only identities to keep, or None for all.
        exclude: keys of identities to leave out.
    """

    fractions: Sequence[tuple[str, float]]
    split_by: str = "identity"
    listed: tuple[tuple[str, np.ndarray], ...] = ()
    rules: tuple[Rule, ...] = ()
    prefer: str = "hash"
    include: np.ndarray | None = None
    exclude: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))

    @property
    def weighted(self) -> bool:
        """Whether a rule gives images weights."""
        return any(rule.kind == "effective-number" for rule in self.rules)

    @property
    def columns(self) -> tuple[str, ...]:
        """Attributes that rules name."""
        return tuple(dict.fromkeys(rule.column for rule in self.rules if rule.column))


def undecided(usable: np.ndarray) -> np.ndarray:
    """DECISION [N] of USABLE [N]; `split` holds what the source demands, or -1.

    A `reason` that it has already is taken over.
    """
    rows = np.zeros(len(usable), DECISION)
    for name in {*_SCANNED, "reason"} & set(usable.dtype.names or ()):
        rows[name] = usable[name]
    rows["copies"] = 1
    rows["weight"] = 1.0
    return rows


def select(rows: np.ndarray, selection: Selection, held_out: np.ndarray) -> None:
    """Decides on images of whole identities, in place.

    Duplicates are gone already, so that a held-out identity's picture under another name was
    found even though the held-out identity itself is left out.

    Args:
        rows: DECISION [N], see `undecided`; all images of an identity or none. What a dataset
            holds already counts in its class, and nothing happens to it.
        selection: see `Selection`.
        held_out: uint64, keys of the identities of a held-out set.
    """
    known = rows["identity"] != NO_IDENTITY
    _drop(rows, known & np.isin(rows["identity"], held_out), HELD_OUT)
    _drop(rows, known & np.isin(rows["identity"], selection.exclude), EXCLUDED)
    if selection.include is not None:
        _drop(rows, ~np.isin(rows["identity"], selection.include), NOT_INCLUDED)
    _split(rows, selection)
    for rule in selection.rules:
        if rule.column is None:
            apply(rows, rule, "identity", selection.prefer)


def explain(reason: int, have: int, limit: int, column: str | None) -> str:
    """The words of a decision, for the index.

    Args:
        reason: why an image is not kept.
        have: how many images its class has.
        limit: how many it must or may have.
        column: the attribute of the last rules of balance, or None.
    """
    held_by = IDENTITY_HAS.strip()
    if reason > TOO_MANY:
        reason, held_by = reason - OF_ATTRIBUTE, f"{ATTRIBUTE_HAS}{column} has"
    return {
        KEEP: "",
        EXCLUDED: f"{IDENTITY_IS}excluded",
        NOT_INCLUDED: f"{IDENTITY_IS}not among those included",
        HELD_OUT: f"{IDENTITY_IS}{HELD_OUT_NOTE}",
        TWO_SPLITS: "the source puts its identity into two splits",
        TOO_FEW: f"{held_by} {have} images, fewer than the {limit} required",
        TOO_MANY: f"{held_by} {have} images, more than the {limit} allowed",
    }[reason]


class SelectImages(beam.PTransform):
    """Scanned -> DECISION arrays as bytes, of all new images that are not set aside.

    What is scanned of a dataset that is added to, or of a held-out set, takes part, and has no
    decision.

    Args:
        set_aside: a PCollection of SetAside.
        selection: see `Selection`.
        total: a PCollection of one number, how many images were listed.
    """

    def __init__(
        self, set_aside: beam.PCollection, selection: Selection, total: beam.PCollection
    ) -> None:
        super().__init__()
        self._set_aside = set_aside
        self._selection = selection
        self._images = total
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, scanned: beam.PCollection) -> Any:
        """Builds the graph."""
        rows = scanned | "ByIdentity" >> beam.FlatMap(_by_identity, self._total).with_output_types(
            tuple[int, bytes]
        )
        held_out = scanned | "HeldOut" >> beam.FlatMap(_held_out, self._total).with_output_types(
            tuple[int, bytes]
        )
        aside = self._set_aside | "AsideByIdentity" >> beam.Map(
            _aside_by_identity, self._total
        ).with_output_types(tuple[int, int])
        decided = (
            {"rows": rows, "held_out": held_out, "aside": aside}
            | "GroupIdentities" >> beam.CoGroupByKey()
            | "Select" >> beam.FlatMap(_select, self._selection).with_output_types(bytes)
        )
        grouped = [rule for rule in self._selection.rules if rule.column is not None]
        if not grouped:
            return decided | "New" >> beam.Map(_only_new).with_output_types(bytes)
        return (
            decided
            | "BalanceAttribute" >> BalanceAttribute(grouped, self._selection.prefer, self._images)
            | "New" >> beam.Map(_only_new).with_output_types(bytes)
        )


def _by_identity(scanned: Scanned, total: int) -> Iterable[tuple[int, bytes]]:
    if origin_of_chunk(scanned.chunk) == origins.HELD_OUT:
        return ()
    # What a dataset dropped for its class's size counts in the class, and nothing else.
    dropped = scanned.unusable[scanned.unusable["counts"]]
    rows = np.zeros(len(scanned.usable) + len(dropped), _UNDECIDED)
    rows["split"], rows["reason"][len(scanned.usable) :] = -1, TOO_FEW
    for name in _SCANNED:
        rows[name][: len(scanned.usable)] = scanned.usable[name]
    for name in ("place", "identity", "order"):
        rows[name][len(scanned.usable) :] = dropped[name]
    # Images of nobody in particular are no class, and need not meet.
    keys = np.where(rows["identity"] == NO_IDENTITY, rows["order"], rows["identity"])
    return divide(rows, keys % np.uint64(group_count(total)))


def _held_out(scanned: Scanned, total: int) -> Iterable[tuple[int, bytes]]:
    if origin_of_chunk(scanned.chunk) != origins.HELD_OUT:
        return ()
    # Whoever is named is in the set, whether or not the picture can be used.
    keys = np.union1d(scanned.usable["identity"], scanned.unusable["identity"])
    keys = keys[keys != NO_IDENTITY]
    return divide(keys, keys % np.uint64(group_count(total)))


def _aside_by_identity(aside: SetAside, total: int) -> tuple[int, int]:
    key = aside.identity if aside.identity != NO_IDENTITY else aside.order
    return key % group_count(total), aside.place


def _select(group: tuple[int, dict[str, Iterable[Any]]], selection: Selection) -> Iterator[bytes]:
    rows = undecided(join(group[1]["rows"], _UNDECIDED))
    gone = np.fromiter(group[1]["aside"], np.uint64)
    rows = rows[~np.isin(rows["place"], gone)]
    held_out = join(group[1]["held_out"], np.dtype("<u8"))
    select(rows, selection, held_out)
    if len(rows):
        yield rows.tobytes()


def _only_new(data: bytes) -> bytes:
    rows = np.frombuffer(data, DECISION)
    return rows[is_new(rows)].tobytes()


def _split(rows: np.ndarray, selection: Selection) -> None:
    """Puts each image into a split; images without identity into `unlabeled`."""
    known = rows["identity"] != NO_IDENTITY
    demanded = rows["split"].copy()
    if selection.split_by == "image":
        hashes = mixed(rows["order"], _IMAGE_SPLIT_SALT)
        rows["split"] = np.where(demanded >= 0, demanded, draw_splits(hashes, selection.fractions))
    else:
        rows["split"] = draw_splits(rows["identity"], selection.fractions)
        for name, keys in selection.listed:
            rows["split"][np.isin(rows["identity"], keys)] = SPLITS.index(name)
        _demand(rows, demanded)
    rows["split"][~known] = FOLDERS.index(UNLABELED)


def _demand(rows: np.ndarray, demanded: np.ndarray) -> None:
    """Gives whole identities the split that the source demands for any of their images."""
    asking = np.flatnonzero((demanded >= 0) & (rows["identity"] != NO_IDENTITY))
    if not len(asking):
        return
    keys, inverse = np.unique(rows["identity"][asking], return_inverse=True)
    lowest, highest = np.full(len(keys), 127, np.int8), np.full(len(keys), -1, np.int8)
    np.minimum.at(lowest, inverse, demanded[asking])
    np.maximum.at(highest, inverse, demanded[asking])
    place = np.minimum(np.searchsorted(keys, rows["identity"]), len(keys) - 1)
    found = keys[place] == rows["identity"]
    rows["split"] = np.where(found, lowest[place], rows["split"])
    _drop(rows, found & (lowest != highest)[place], TWO_SPLITS)


def _drop(rows: np.ndarray, gone: np.ndarray, reason: int) -> None:
    rows["reason"][gone & is_new(rows) & (rows["reason"] == KEEP)] = reason


def normalizing_sums(data: bytes) -> tuple[float, int]:
    """(sum of weights, number) of the train records, each as often as it is written."""
    rows = np.frombuffer(data, DECISION)
    train = rows[(rows["reason"] == KEEP) & (rows["split"] == TRAIN)]
    # fsum is exact, so no order of addition shows in the last bits.
    return math.fsum(train["weight"] * train["copies"]), int(train["copies"].sum())

"""Rules of balance applied to decisions: to whole classes, or to a share of a class in its order.

A class that one worker can hold is given to `apply`. A larger one is cut into shares that follow
each other in the order of preference, and `apply_to_share` does to a share what `apply` would do
to its rows among all: it has to be told how many images come before, and how many there are.
"""

import numpy as np

from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.selection import weights
from facemill.transforms.selection.choices import SHARPEST
from facemill.transforms.selection.decisions import (
    KEEP,
    OF_ATTRIBUTE,
    TOO_FEW,
    TOO_MANY,
    TRAIN,
    is_new,
)
from facemill.transforms.selection.rules import CAP, EFFECTIVE_NUMBER, MIN_IMAGES, OVERSAMPLE, Rule

_CAP_SALT = 1
_SIGN = np.uint32(1 << 31)


def apply(rows: np.ndarray, rule: Rule, key: str, prefer: str) -> None:
    """Applies one rule of balance to whole classes, in place.

    Args:
        rows: DECISION [N].
        rule: `oversample` and `effective-number` act on the train split only.
        key: column of the classes, `identity` or `group`; its zero is no class.
        prefer: `hash` or `quality`, see `selection.Selection`.
    """
    chosen = np.flatnonzero(_concerned(rows, rule) & (rows[key] != 0))
    if not len(chosen):
        return
    some = rows[chosen]
    rank, size = weights.ranks(some[key], _preference(some, prefer))
    _settle(some, rule, rank, size, weights.sums(some[key], some["copies"]), key == "group")
    rows[chosen] = some


def tally(rows: np.ndarray, rule: Rule) -> tuple[int, int]:
    """(images that a rule concerns, records of them) of DECISION [N] of one class."""
    some = rows[_concerned(rows, rule)]
    return len(some), int(some["copies"].sum(dtype=np.int64))


def apply_to_share(rows: np.ndarray, rule: Rule, before: int, images: int, records: int) -> None:
    """Applies one rule to a share of the images with one value of the attribute, in place.

    Args:
        rows: DECISION [N], in the order of `preference_keys`.
        rule: see `apply`.
        before: images that the rule concerns in the shares before this one, see `tally`.
        images: of all shares.
        records: of all shares.
    """
    chosen = np.flatnonzero(_concerned(rows, rule))
    if not len(chosen):
        return
    some = rows[chosen]
    rank = before + np.arange(len(some))
    size, written = (np.full(len(some), value, np.int64) for value in (images, records))
    _settle(some, rule, rank, size, written, of_attribute=True)
    rows[chosen] = some


def preference_keys(rows: np.ndarray, prefer: str) -> np.ndarray:
    """Bytes [N] whose order is that of preference within a class; no two are equal.

    Args:
        rows: DECISION [N].
        prefer: see `apply`.
    """
    columns = [_big_endian(part) for part in _preference(rows, prefer)]
    keys = np.concatenate(columns, axis=1)
    return keys.view(f"S{keys.shape[1]}")[:, 0]


def _preference(rows: np.ndarray, prefer: str) -> list[np.ndarray]:
    """What decides who comes first in a class, as `balance.ranks` takes it."""
    preference = [is_new(rows), splitmix64(rows["order"], _CAP_SALT), rows["row_id"]]
    if prefer == SHARPEST:
        preference.insert(1, -rows["sharpness"])
    return preference


def _big_endian(values: np.ndarray) -> np.ndarray:
    """uint8 [N, bytes] that are in the order of the values: bool, uint64 or float32 [N]."""
    if values.dtype == np.float32:
        # Zero has two signs, and is one value.
        bits = (values + np.float32(0)).view(np.uint32)
        values = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    wide = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">")))
    return wide.view(np.uint8).reshape(len(values), -1)


def _concerned(rows: np.ndarray, rule: Rule) -> np.ndarray:
    alive = rows["reason"] == KEEP
    if rule.kind == MIN_IMAGES and rule.column is None:
        # What a dataset dropped for want of others: with the new ones there may be enough.
        alive |= ~is_new(rows) & (rows["reason"] == TOO_FEW)
    if rule.kind in (OVERSAMPLE, EFFECTIVE_NUMBER):
        alive &= rows["split"] == TRAIN
    return alive


def _settle(
    some: np.ndarray,
    rule: Rule,
    rank: np.ndarray,
    size: np.ndarray,
    records: np.ndarray,
    of_attribute: bool,
) -> None:
    """Decides on images that a rule concerns, in place.

    Args:
        some: DECISION [N].
        rule: the rule.
        rank: int64 [N], place of each in its class.
        size: int64 [N], images of its class.
        records: int64 [N], records of its class.
        of_attribute: whether classes are values of the attribute.
    """
    if rule.kind in (MIN_IMAGES, CAP):
        too_many = rule.kind == CAP
        gone = is_new(some) & (rank >= rule.amount if too_many else size < rule.amount)
        some["have"][gone], some["limit"][gone] = size[gone], int(rule.amount)
        reason = TOO_MANY if too_many else TOO_FEW
        some["reason"][gone] = reason + (OF_ATTRIBUTE if of_attribute else 0)
    elif rule.kind == OVERSAMPLE:
        copies = some["copies"].astype(np.int64)
        some["copies"] = weights.oversampled(copies, rank, size, records, int(rule.amount))
    else:
        some["weight"] *= weights.effective_number_weights(size, rule.amount)

"""Rules of balance applied to decisions: to whole classes, or to a share of a class in its order.

`apply` takes a class that one worker can hold. A larger class is cut into consecutive shares in the
order of preference. `apply_to_share` decides on the rows of a share as `apply` would on the whole
class: its caller passes how many images come before the share, and how many the class has.
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
        key: column of the classes, `identity` or `group`; rows with 0 are in no class.
        prefer: `hash` or `quality`, see `selection.Selection`.
    """
    selected = np.flatnonzero(_applies_to(rows, rule) & (rows[key] != 0))
    if not len(selected):
        return
    subset = rows[selected]
    rank, size = weights.ranks(subset[key], _preference(subset, prefer))
    _decide(subset, rule, rank, size, weights.sums(subset[key], subset["copies"]), key == "group")
    rows[selected] = subset


def tally(rows: np.ndarray, rule: Rule) -> tuple[int, int]:
    """(images that a rule applies to, records of these) among DECISION [N] of one class."""
    some = rows[_applies_to(rows, rule)]
    return len(some), int(some["copies"].sum(dtype=np.int64))


def apply_to_share(rows: np.ndarray, rule: Rule, before: int, images: int, records: int) -> None:
    """Applies one rule to a share of the images with one value of the attribute, in place.

    Args:
        rows: DECISION [N], in the order of `preference_keys`.
        rule: see `apply`.
        before: images that the rule applies to in the shares before this one, see `tally`.
        images: the same of all shares.
        records: of these images.
    """
    selected = np.flatnonzero(_applies_to(rows, rule))
    if not len(selected):
        return
    subset = rows[selected]
    rank = before + np.arange(len(subset))
    size, written = (np.full(len(subset), value, np.int64) for value in (images, records))
    _decide(subset, rule, rank, size, written, of_attribute=True)
    rows[selected] = subset


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
    """The preference of each image in its class, as `weights.ranks` takes it."""
    preference = [is_new(rows), splitmix64(rows["order"], _CAP_SALT), rows["row_id"]]
    if prefer == SHARPEST:
        preference.insert(1, -rows["sharpness"])
    return preference


def _big_endian(values: np.ndarray) -> np.ndarray:
    """uint8 [N, bytes] whose order is that of the values: bool, uint64 or float32 [N]."""
    if values.dtype == np.float32:
        # -0.0 and 0.0 are one value.
        bits = (values + np.float32(0)).view(np.uint32)
        values = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    wide = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">")))
    return wide.view(np.uint8).reshape(len(values), -1)


def _applies_to(rows: np.ndarray, rule: Rule) -> np.ndarray:
    affected = rows["reason"] == KEEP
    if rule.kind == MIN_IMAGES and rule.column is None:
        # Images that the base dropped because their class was too small: with the new images it may
        # be large enough.
        affected |= ~is_new(rows) & (rows["reason"] == TOO_FEW)
    if rule.kind in (OVERSAMPLE, EFFECTIVE_NUMBER):
        affected &= rows["split"] == TRAIN
    return affected


def _decide(
    some: np.ndarray,
    rule: Rule,
    rank: np.ndarray,
    size: np.ndarray,
    records: np.ndarray,
    of_attribute: bool,
) -> None:
    """Decides on images that a rule applies to, in place.

    Args:
        some: DECISION [N].
        rule: the rule.
        rank: int64 [N], rank of each in its class, from 0 on.
        size: int64 [N], images of its class.
        records: int64 [N], records of its class.
        of_attribute: whether classes are values of the attribute.
    """
    if rule.kind in (MIN_IMAGES, CAP):
        too_many = rule.kind == CAP
        dropped = is_new(some) & (rank >= rule.amount if too_many else size < rule.amount)
        some["have"][dropped], some["limit"][dropped] = size[dropped], int(rule.amount)
        reason = TOO_MANY if too_many else TOO_FEW
        some["reason"][dropped] = reason + (OF_ATTRIBUTE if of_attribute else 0)
    elif rule.kind == OVERSAMPLE:
        copies = some["copies"].astype(np.int64)
        some["copies"] = weights.oversampled(copies, rank, size, records, int(rule.amount))
    else:
        some["weight"] *= weights.effective_number_weights(size, rule.amount)

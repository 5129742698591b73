"""Rows of images for tests of the selection, and the decisions on them."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.row_ids import NEW, chunk_number, row_ids_of
from facemill.transforms.dataset.identity_filter import identity_key
from facemill.transforms.dataset.split_names import FOLDERS, SPLITS
from facemill.transforms.dataset.splits import SPLIT_REQUEST
from facemill.transforms.scan.scan_chunk import USABLE
from facemill.transforms.selection.rules import Rule
from facemill.transforms.selection.selection import (
    Selection,
    select,
    undecided,
)

SHARES = (("train", 0.5), ("val", 0.25), ("test", 0.25))


NO_KEYS = np.empty(0, np.uint64)


NO_REQUESTS = np.empty(0, SPLIT_REQUEST)


quick = settings(deadline=None, max_examples=80)


# (identity or None, number of images)
people = st.lists(
    st.tuples(st.sampled_from([f"id{n}" for n in range(12)]), st.integers(1, 8)),
    max_size=8,
    unique_by=lambda one: one[0],
)


def images(given, origin: int = NEW, splits=(), group=None) -> np.ndarray:
    """USABLE rows of the given number of images of each identity."""
    names = [(who, number) for who, count in given for number in range(count)]
    rows = np.zeros(len(names), USABLE)
    split_of = dict(splits)
    for row, (who, number) in enumerate(names):
        image_id = f"{origin}/{who}/{number}"
        key = keyed_hash(0, "row_id", image_id) >> 34
        rows[row]["row_id"] = row_ids_of(chunk_number(origin, key, 0), 1)[0]
        rows[row]["identity"] = identity_key(1, who)
        rows[row]["order"] = keyed_hash(1, "order", image_id)
        rows[row]["group"] = 0 if group is None else group(who, number)
        rows[row]["sharpness"] = keyed_hash(2, "sharp", image_id) % 1000
        split = split_of.get((who, number), split_of.get(who))
        rows[row]["split"] = -1 if split is None else SPLITS.index(split)
    return rows


PLAIN = Selection(SHARES)


def decide(
    usable: np.ndarray, rules: Selection = PLAIN, held_out=NO_KEYS, requests=NO_REQUESTS
) -> np.ndarray:
    rows = undecided(usable)
    select(rows, rules, held_out, requests)
    return rows


def keys(*names: str) -> np.ndarray:
    return np.sort(np.array([identity_key(1, who) for who in names], np.uint64))


def requests_of(*pairs: tuple[str, str]) -> np.ndarray:
    return np.array(
        [(identity_key(1, who), SPLITS.index(split)) for who, split in pairs], SPLIT_REQUEST
    )


def by_row_id(rows: np.ndarray) -> dict[int, tuple]:
    return {row["row_id"].item(): row.tolist() for row in rows}


def folder_of(rows: np.ndarray, who: str | None) -> set[str]:
    mine = rows[rows["identity"] == identity_key(1, who)]
    return {FOLDERS[split] for split in mine["split"]}


RULES = (
    (),
    (Rule("min-images", 3), Rule("cap", 4)),
    (Rule("cap", 2), Rule("oversample", 5), Rule("effective-number", 0.9)),
)

from pathlib import Path

import pytest

from facemill.transforms.core.grouping import group_count, partition
from facemill.transforms.core.rows import KeyRows
from facemill.transforms.duplicates.candidates import HASH
from facemill.transforms.duplicates.transform import CANDIDATE
from facemill.transforms.selection import selection
from facemill.transforms.selection.decisions import DECISION
from facemill.transforms.shards import index
from facemill.transforms.shards.rows import POSITION, RECORD

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(("rows", "groups"), [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_the_average_group_has_at_most_the_given_rows(rows, groups):
    assert group_count(rows, 10) == groups


def test_partition_keeps_the_order_of_items():
    assert partition([3, 1, 4, 1, 5], lambda one: one % 2) == {1: [3, 1, 1, 5], 0: [4]}


def test_the_docs_state_the_bytes_that_are_grouped_per_image():
    kept = index._DECISION.itemsize + POSITION.itemsize
    scale = (DOCS / "scale.md").read_text()
    for what, stated in (
        ("equal pixels", f"{CANDIDATE.itemsize} bytes |"),
        ("near duplicates", f"{HASH.itemsize} bytes;"),
        ("the selection", f"{selection._UNDECIDED.itemsize} bytes |"),
        ("`--balance` by an attribute", f"{DECISION.itemsize} bytes;"),
        ("the shards", f"{RECORD.itemsize} bytes for each copy"),
        ("the index", f"{index._DECISION.itemsize} bytes, and {POSITION.itemsize} for each kept"),
        ("repeated `image_id`s", f"{KeyRows.dtype.itemsize} bytes |"),
    ):
        assert f"| grouped for {what} | {stated}" in scale
    architecture = (DOCS / "architecture.md").read_text()
    for stated in (
        f"{CANDIDATE.itemsize} for equal pixels, {HASH.itemsize} for near duplicates",
        f"{selection._UNDECIDED.itemsize} for the selection (and {DECISION.itemsize} where",
        f"{RECORD.itemsize} for the shards, {kept} for the index",
    ):
        assert stated in architecture

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.row_ids import NEW, chunk_number, row_ids_of
from facemill.transforms.dataset.fingerprint import content_sum
from facemill.transforms.dataset.split_names import FOLDERS
from facemill.transforms.duplicates.verdicts import Exclusion, Verdict
from facemill.transforms.selection.decisions import DECISION, DecisionRows
from facemill.transforms.selection.selection import TOO_FEW, TOO_MANY
from facemill.transforms.shards import index
from facemill.transforms.shards.index import SCHEMA, decide
from facemill.transforms.shards.rows import POSITION
from tests.reasons import because

# Two chunks: rows 0 to 3 and 4 to 6.
ROW_IDS = np.concatenate(
    [row_ids_of(chunk_number(NEW, 0, 0), 4), row_ids_of(chunk_number(NEW, 5, 1), 3)]
)
REJECTED = pa.table(
    {
        "reason": ["", "not an image", *[""] * 5],
        "reason_code": [None, "not_an_image", *[None] * 5],
    }
)


def exclusion(row: int, outcome: str = "duplicate") -> Exclusion:
    return Exclusion(
        int(ROW_IDS[row]), 1, 2, Verdict(outcome, because(f"why {row}"), "another", (), 0.5)
    )


def decisions(rows: dict[int, tuple[int, int, int]]) -> np.ndarray:
    found = np.zeros(len(rows), DECISION)
    for one, (row, (reason, have, limit)) in zip(found, rows.items(), strict=True):
        one["row_id"], one["reason"], one["have"], one["limit"] = ROW_IDS[row], reason, have, limit
        one["copies"] = row + 1
    return found


def positions(*rows: int, folder: str = "train") -> np.ndarray:
    found = np.zeros(len(rows), POSITION)
    found["row_id"] = ROW_IDS[list(rows)]
    found["folder"] = FOLDERS.index(folder)
    found["shard"], found["shards"], found["weight"] = [row % 2 for row in rows], 2, 0.5
    found["position"] = [10 * row for row in rows]
    found["offset"] = [4_000_000_000 * row for row in rows]
    return found


KEEP = (0, 0, 0)
DECIDED = {4: (TOO_MANY, 9, 3), 3: KEEP, 0: KEEP, 6: (TOO_FEW, 2, 5)}


def decided(**changes) -> list[dict]:
    given = {
        "rejected": REJECTED,
        "row_ids": ROW_IDS,
        "exclusions": [exclusion(5, "conflict"), exclusion(2)],
        "decisions": decisions(DECIDED),
        "positions": positions(3, 0),
        "column": None,
    }
    return decide(**{**given, **changes}).to_pylist()


def test_every_image_gets_its_one_outcome():
    rows = decided()
    outcomes = ["kept", "rejected", "duplicate", "kept", "dropped", "conflict", "dropped"]
    assert [row["outcome"] for row in rows] == outcomes
    assert rows[0] == {
        "outcome": "kept",
        "reason_code": None,
        "reason": "",
        "duplicate_of": None,
        "contradicts": None,
        "similarity": None,
        "split": "train",
        "shard": "train/part-00000-of-00002.tfrecord",
        "position": 0,
        "offset": 0,
        "copies": 1,
        "weight": 0.5,
    }
    assert rows[3]["shard"] == "train/part-00001-of-00002.tfrecord"
    assert [rows[3][name] for name in ("position", "offset", "copies")] == [30, 12_000_000_000, 4]
    assert [row["reason"] for row in rows[1:3]] == ["not an image", "why 2"]
    assert [row["reason_code"] for row in rows[1:5]] == [
        *("not_an_image", "unreadable", None, "identity_too_large")
    ]
    assert rows[2]["duplicate_of"] == rows[5]["duplicate_of"] == "another"
    assert rows[2]["similarity"] == 0.5
    assert rows[4]["reason"] == "identity has 9 images, more than the 3 allowed"
    assert rows[6]["reason"] == "identity has 2 images, fewer than the 5 required"
    for row in (1, 2, 4, 5, 6):
        names = ("split", "shard", "position", "offset", "copies", "weight")
        assert [rows[row][name] for name in names] == [None] * len(names)


def test_a_file_that_was_never_meant_as_an_image_is_ignored():
    codes = [None, "sidecar_file", *[None] * 5]
    table = REJECTED.set_column(1, "reason_code", pa.array(codes))
    assert decided(rejected=table)[1]["outcome"] == "ignored"


def test_a_quarantined_image_has_a_position_and_stays_a_conflict():
    found = np.concatenate([positions(3, 0), positions(5, folder="quarantine")])
    row = decided(positions=found)[5]
    assert (row["outcome"], row["split"], row["position"]) == ("conflict", "quarantine", 50)
    assert row["shard"] == "quarantine/part-00001-of-00002.tfrecord"
    assert row["copies"] is None


def test_names_of_shards_include_the_version():
    assert decided(version=3)[0]["shard"] == "train/part-00000-of-00002.v3.tfrecord"


@pytest.mark.parametrize(
    "changes",
    [
        # No outcome: no decision on row 6, and no verdict on row 2.
        {"decisions": decisions({4: KEEP, 3: KEEP, 0: KEEP}), "positions": positions(4, 3, 0)},
        {"exclusions": [exclusion(5)]},
        # Two outcomes: rejected and a duplicate, two verdicts, a verdict and a decision.
        {"exclusions": [exclusion(5), exclusion(2), exclusion(1)]},
        {"exclusions": [exclusion(5), exclusion(2), exclusion(2)]},
        {"exclusions": [exclusion(5), exclusion(2), exclusion(0)]},
        {"decisions": decisions({**DECIDED, 1: KEEP})},
        # Kept, without a position.
        {"positions": positions(3)},
    ],
)
def test_an_image_with_no_outcome_or_two_fails_the_run(changes):
    with pytest.raises(RunError, match="must have one outcome, but some have none or two"):
        decided(**changes)


def test_the_fingerprint_depends_on_the_set_of_image_ids_and_files():
    def fingerprint(rows: list[tuple[str, str | None]]) -> int:
        names, digests = zip(*rows, strict=True)
        return content_sum(pa.table({"image_id": names, "sha256": digests}))

    rows = [("a", "1"), ("b", "2"), ("c", None)]
    whole = fingerprint(rows)
    assert fingerprint(rows[::-1]) == whole
    assert (fingerprint(rows[:1]) + fingerprint(rows[1:])) % 2**256 == whole
    assert fingerprint([*rows, rows[0]]) != whole
    assert fingerprint([("a", "2"), ("b", "1"), ("c", None)]) != whole
    (alone,) = [int(hashlib.sha256(b"a\x001").hexdigest(), 16)]
    assert fingerprint(rows[:1]) == alone


def test_all_rows_of_a_chunk_are_in_one_part():
    total = 1_000_000
    usable = np.zeros(3, DECISION)
    usable["row_id"] = ROW_IDS[[0, 3, 5]]
    found = {
        name: data.array["row_id"].tolist()
        for name, data in index._decisions_by_part(DecisionRows.of(usable), total)
    }
    for name, row_ids in found.items():
        for row_id in row_ids:
            assert index._part_of_chunk(row_id >> 12, total) == name
    assert sorted(row_id for some in found.values() for row_id in some) == usable["row_id"].tolist()
    assert index._exclusion_by_part(exclusion(5), total)[0] == index._part_of_chunk(
        int(ROW_IDS[5]) >> 12, total
    )
    names = {index._part_of_chunk(chunk_number(NEW, task, 0), total) for task in range(999)}
    assert names == {f"part-{part:05d}-of-00016" for part in range(16)}


def test_the_index_has_no_columns_that_only_statistics_need():
    assert "channel_mean" not in SCHEMA.names
    assert SCHEMA.names[:6] == [
        *("image_id", "source", "identity"),
        *("outcome", "reason_code", "reason"),
    ]
    assert len(set(SCHEMA.names)) == len(SCHEMA.names)

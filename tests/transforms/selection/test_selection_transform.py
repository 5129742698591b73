"""The selection as a Beam transform."""

import dataclasses
from collections import defaultdict

import apache_beam as beam
import numpy as np
import pytest

from facemill.transforms.core import row_ids
from facemill.transforms.core.row_ids import BASE, NEW, chunk_number, row_ids_of
from facemill.transforms.core.row_ids import HELD_OUT as HELD_OUT_SET
from facemill.transforms.core.rows import KeyRows
from facemill.transforms.dataset.identity_filter import NO_IDENTITY, identity_key
from facemill.transforms.duplicates.verdicts import EXACT, Exclusion, Verdict
from facemill.transforms.scan.scan_chunk import UNUSABLE, Scanned
from facemill.transforms.selection import selection
from facemill.transforms.selection.apply import apply
from facemill.transforms.selection.decisions import DECISION, DecisionRows
from facemill.transforms.selection.rules import Rule, in_order
from facemill.transforms.selection.selection import (
    KEEP,
    TOO_FEW,
    SelectImages,
    Selection,
    select,
    undecided,
)
from tests.transforms.selection.selecting import (
    NO_KEYS,
    NO_REQUESTS,
    PLAIN,
    by_row_id,
    decide,
    folder_of,
    images,
    keys,
    requests_of,
)


def test_the_images_of_an_identity_are_in_one_group():
    usable = images([("ada", 5), ("bob", 3), (None, 40)])
    groups = defaultdict(list)
    for key, data in selection._by_identity(
        Scanned(0, len(usable), usable, np.empty((len(usable), 0), np.uint8)), 1_000_000
    ):
        groups[key] += data.array["row_id"].tolist()
    assert sorted(row_id for some in groups.values() for row_id in some) == sorted(
        usable["row_id"].tolist()
    )
    # 1,000,000 rows make four groups, and images without an identity are spread over all.
    assert set(groups) == set(range(4))
    for who in ("ada", "bob"):
        mine = set(usable["row_id"][usable["identity"] == identity_key(1, who)].tolist())
        assert sum(bool(mine & set(some)) for some in groups.values()) == 1


def selected(path, chunks: list[Scanned], rules: Selection, excluded=()) -> np.ndarray:
    """DECISION rows that the transform gives.

    Args:
        path: of a file that it may write.
        chunks: that were scanned.
        rules: of the selection.
        excluded: USABLE rows that the duplicate search excluded.
    """
    verdict = Verdict("duplicate", EXACT, "another")
    fields = (row[["row_id", "identity", "order"]].tolist() for row in excluded)

    def write(found: list[DecisionRows]) -> None:
        path.write_bytes(DecisionRows.join(found).tobytes())

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        scanned = pipeline | "Chunks" >> beam.Create(chunks)
        total = pipeline | "Total" >> beam.Create([sum(chunk.count for chunk in chunks)])
        gone = pipeline | "Excluded" >> beam.Create([Exclusion(*some, verdict) for some in fields])
        decided = scanned | SelectImages(gone, rules, total)
        _ = decided | beam.combiners.ToList() | beam.Map(write)
    return np.fromfile(path, DECISION)


def scanned(number: int, usable: np.ndarray, requests=NO_REQUESTS) -> Scanned:
    # The count is large enough to make several groups.
    return Scanned(number, 400_000, usable, np.empty((len(usable), 0), np.uint8), requests)


@pytest.mark.slow
def test_the_transform_applies_split_requests_of_unusable_and_excluded_images(tmp_path):
    people = [(f"id{n}", 2) for n in range(9)]
    usable = images(people, splits=[(("id1", 0), "test"), (("id2", 0), "val")])
    exclusions = np.isin(usable["identity"], keys("id1", "id2"))
    exclusions[np.flatnonzero(exclusions)[1::2]] = False
    # id9 has no image left, and split requests of a held-out set do not apply to the input.
    requests = requests_of(("id3", "test"), ("id9", "val"))
    held_out = requests_of(("id4", "train"), ("id5", "val"), ("id6", "test"))
    chunks = [
        scanned(0, usable),
        scanned(chunk_number(NEW, 5, 0), usable[:0], requests),
        scanned(chunk_number(HELD_OUT_SET, 0, 0), usable[:0], held_out),
    ]
    rows = selected(tmp_path / "rows", chunks, PLAIN, usable[exclusions])
    assert len(rows) == 16
    plain = decide(images(people))
    expected = {"id1": {"test"}, "id2": {"val"}, "id3": {"test"}}
    for who, _ in people:
        assert folder_of(rows, who) == expected.get(who, folder_of(plain, who))


@pytest.mark.slow
def test_oversampled_identities_reach_their_minimum_despite_a_cap_of_an_attribute(tmp_path):
    people = [("ada", 9), ("bob", 3), ("eve", 1), (None, 4)]
    usable = images(people, group=lambda who, number: 1 + number % 2)
    rules = in_order(
        [
            *(Rule("effective-number", 0.9), Rule("oversample", 6), Rule("oversample", 20, "age")),
            *(Rule("cap", 4, "age"), Rule("cap", 5), Rule("effective-number", 0.5, "age")),
        ]
    )
    given_selection = Selection((("train", 1.0),), rules=rules)
    assert [len(rules) for rules in given_selection.stages] == [1, 1, 2, 2]
    rows = selected(tmp_path / "rows", [scanned(0, usable)], given_selection)
    expected = undecided(usable)
    select(expected, dataclasses.replace(given_selection, rules=()), NO_KEYS, NO_REQUESTS)
    for rule in rules:
        apply(expected, rule, "identity" if rule.column is None else "group", "hash")
    assert by_row_id(rows) == by_row_id(expected)
    kept = rows[(rows["reason"] == KEEP) & (rows["identity"] != NO_IDENTITY)]
    records = {who: kept["copies"][kept["identity"] == who].sum() for who in kept["identity"]}
    assert len(records) > 1
    assert min(records.values()) >= 6
    ages = [rows["copies"][(rows["reason"] == KEEP) & (rows["group"] == age)] for age in (1, 2)]
    assert [len(copies) for copies in ages] == [4, 4]
    assert min(copies.sum() for copies in ages) >= 20


def with_unusable(
    origin: int, usable: np.ndarray, unusable: list[tuple[str | None, bool]]
) -> Scanned:
    rows = np.zeros(len(unusable), UNUSABLE)
    rows["row_id"] = row_ids_of(chunk_number(origin, 999, 0), len(unusable))
    rows["identity"] = [identity_key(1, who) for who, _ in unusable]
    rows["counts"] = [counts for _, counts in unusable]
    windows = np.empty((len(usable), 0), np.uint8)
    count = len(usable) + len(rows)
    return Scanned(chunk_number(origin, 999, 0), count, usable, windows, NO_REQUESTS, rows)


def test_identities_of_unusable_held_out_images_are_held_out_too():
    given = with_unusable(row_ids.HELD_OUT, images([("ada", 2)]), [("bob", False), (None, False)])
    keys = KeyRows.join(data for _, data in selection._held_out(given, 9))
    assert sorted(keys.tolist()) == sorted(identity_key(1, who) for who in ("ada", "bob"))


@pytest.mark.parametrize(("least", "kept"), [(5, True), (6, False)])
def test_dropped_images_of_the_base_count_for_min_images_and_not_for_a_cap(least, kept):
    before = [("ada", True), ("ada", True), ("ada", False)]
    base = with_unusable(BASE, images([("ada", 1)], BASE), before)
    new = with_unusable(NEW, images([("ada", 2)]), [])
    parts = [data for one in (base, new) for _, data in selection._by_identity(one, 9)]
    rules = Selection((("train", 1.0),), rules=(Rule("min-images", least), Rule("cap", 3)))
    (found,) = selection._select(
        (0, {"rows": parts, "held_out": [], "excluded": [], "requests": []}), rules
    )
    rows = selection._only_new(found).array
    # They do not count under the cap of three.
    assert rows["reason"].tolist() == [KEEP if kept else TOO_FEW] * 2
    if not kept:
        assert rows["have"].tolist() == [5, 5]

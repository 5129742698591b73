import dataclasses
from collections import Counter, defaultdict

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core import row_ids
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.row_ids import BASE, NEW, chunk_number, row_ids_of
from facemill.transforms.core.row_ids import HELD_OUT as HELD_OUT_SET
from facemill.transforms.core.rows import KeyRows
from facemill.transforms.dataset.identity_filter import NO_IDENTITY, IdentityFilter, identity_key
from facemill.transforms.dataset.split_names import FOLDERS, SPLITS, UNLABELED
from facemill.transforms.dataset.splits import SPLIT_REQUEST, draw_splits
from facemill.transforms.duplicates.verdicts import EXACT, Exclusion, Verdict
from facemill.transforms.scan.scan_chunk import UNUSABLE, USABLE, Scanned
from facemill.transforms.selection import selection
from facemill.transforms.selection.apply import apply
from facemill.transforms.selection.decisions import DECISION, DecisionRows
from facemill.transforms.selection.rules import Rule, in_order
from facemill.transforms.selection.selection import (
    EXCLUDED,
    HELD_OUT,
    KEEP,
    NOT_INCLUDED,
    OF_ATTRIBUTE,
    TOO_FEW,
    TOO_MANY,
    TWO_SPLITS,
    SelectImages,
    Selection,
    explain,
    normalizing_sums,
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


@given(people, st.sampled_from(RULES), st.sampled_from(["hash", "quality"]))
@quick
def test_an_identity_is_in_the_one_split_that_its_key_draws(given, rules, prefer):
    rows = decide(images([*given, (None, 3)]), Selection(SHARES, rules=rules, prefer=prefer))
    for who, _ in given:
        (drawn,) = draw_splits(np.array([identity_key(1, who)], np.uint64), SHARES)
        assert folder_of(rows, who) == {SPLITS[drawn]}
    assert folder_of(rows, None) == {UNLABELED}


@given(people, people, st.sampled_from(RULES))
@quick
def test_other_identities_do_not_change_the_decisions_on_an_identity(given, others, rules):
    mine = dict(given)
    added = [(f"other {who}", count) for who, count in others]
    given_selection = Selection(SHARES, rules=rules)
    few = by_row_id(decide(images(given), given_selection))
    many = by_row_id(decide(images([*mine.items(), *added]), given_selection))
    assert few.items() <= many.items()


@given(people, people)
@quick
def test_added_images_do_not_change_the_split_of_others(given, more):
    grown = Counter(dict(given)) + Counter(dict(more))
    few, many = (by_row_id(decide(images(some))) for some in (given, grown.items()))
    assert few.items() <= many.items()


@given(people, st.sampled_from(RULES), st.randoms(use_true_random=False), st.booleans())
@quick
def test_decisions_do_not_depend_on_the_order_of_rows(given, rules, random, by_image):
    usable = images([*given, (None, 2)])
    order = list(range(len(usable)))
    random.shuffle(order)
    given_selection = Selection(SHARES, "image" if by_image else "identity", rules=rules)
    assert by_row_id(decide(usable[order], given_selection)) == by_row_id(
        decide(usable, given_selection)
    )


def test_a_split_request_of_the_source_applies_to_the_whole_identity():
    split_requests = {("ada", 1): "test", "bob": "val", ("eve", 0): "val", ("eve", 2): "test"}
    rows = decide(images([("ada", 3), ("bob", 2), ("eve", 4)], splits=split_requests.items()))
    assert folder_of(rows, "ada") == {"test"}
    assert folder_of(rows, "bob") == {"val"}
    eve = rows[rows["identity"] == identity_key(1, "eve")]
    assert set(eve["reason"].tolist()) == {TWO_SPLITS}
    assert set(rows["reason"][rows["identity"] != identity_key(1, "eve")].tolist()) == {KEEP}
    assert "two splits" in explain(TWO_SPLITS, 0, 0, None)


def test_images_without_an_identity_are_unlabeled_despite_split_requests():
    rows = decide(images([(None, 3)], splits=[((None, 0), "train"), ((None, 1), "test")]))
    assert folder_of(rows, None) == {UNLABELED}
    assert set(rows["reason"].tolist()) == {KEEP}


def test_listed_identities_are_in_the_listed_split_despite_split_requests():
    listed = (("test", keys("id1", "id2")), ("val", keys("id3", "nobody here")))
    people = [(f"id{n}", 2) for n in range(9)]
    # The source requests one split for id2, and two for id3.
    requests = [("id2", "train"), (("id3", 0), "train"), (("id3", 1), "test")]
    more = requests_of(("id1", "val"), ("id2", "val"))
    rows = decide(images(people, splits=requests), Selection(SHARES, listed=listed), requests=more)
    plain = decide(images(people))
    assert folder_of(rows, "id1") == {"test"}
    assert folder_of(rows, "id2") == {"test"}
    assert folder_of(rows, "id3") == {"val"}
    assert set(rows["reason"].tolist()) == {KEEP}
    for who in ["id0", "id4", "id5", "id6", "id7", "id8"]:
        assert folder_of(rows, who) == folder_of(plain, who)


def test_a_list_that_contradicts_the_split_in_the_base_drops_new_images_only():
    base, new = images([("ada", 2)], BASE, [("ada", "train")]), images([("ada", 2)])
    rows = decide(np.concatenate([base, new]), Selection(SHARES, listed=(("test", keys("ada")),)))
    assert rows["reason"].tolist() == [KEEP, KEEP, TWO_SPLITS, TWO_SPLITS]


def test_split_requests_of_images_that_are_not_among_the_rows_apply():
    people = [(f"id{n}", 2) for n in range(9)]
    requests = requests_of(("id1", "test"), ("id2", "val"), ("id3", "test"), ("id3", "test"))
    requests = np.concatenate([requests, requests_of(("id4", "val"), ("nobody here", "val"))])
    rows = decide(images(people, splits=[(("id4", 1), "test")]), requests=requests)
    plain = decide(images(people))
    assert folder_of(rows, "id1") == folder_of(rows, "id3") == {"test"}
    assert folder_of(rows, "id2") == {"val"}
    mine = rows["identity"] == identity_key(1, "id4")
    assert set(rows["reason"][mine].tolist()) == {TWO_SPLITS}
    assert set(rows["reason"][~mine].tolist()) == {KEEP}
    for who in ["id0", "id5", "id6", "id7", "id8"]:
        assert folder_of(rows, who) == folder_of(plain, who)


def test_split_by_image_draws_a_split_for_each_image():
    usable = images([("ada", 300), (None, 5)], splits=[(("ada", 7), "val"), (("ada", 8), "test")])
    rows = decide(usable, Selection(SHARES, "image"))
    counts = Counter(FOLDERS[split] for split in rows["split"])
    assert counts[UNLABELED] == 5
    # Four standard deviations of a binomial count.
    assert abs(counts["train"] - 150) < 35
    assert abs(counts["val"] - 75) < 30
    found = by_row_id(rows)
    assert FOLDERS[found[usable["row_id"][7].item()][5]] == "val"
    assert FOLDERS[found[usable["row_id"][8].item()][5]] == "test"
    assert set(rows["reason"].tolist()) == {KEEP}


def test_excluded_identities_have_the_reason_of_their_exclusion():
    usable = images([("ada", 2), ("bob", 2), ("eve", 2), ("joe", 2), (None, 2)])
    identity_filter = IdentityFilter(include=keys("ada", "bob", "joe"), exclude=keys("bob"))
    rules = Selection(SHARES, identity_filter=identity_filter)
    rows = decide(usable, rules, held_out=keys("joe"))
    expected = {"ada": KEEP, "bob": EXCLUDED, "eve": NOT_INCLUDED, "joe": HELD_OUT}
    for who, reason in expected.items():
        mine = rows[rows["identity"] == identity_key(1, who)]
        assert set(mine["reason"].tolist()) == {reason}
    assert set(rows["reason"][rows["identity"] == NO_IDENTITY].tolist()) == {NOT_INCLUDED}
    assert len({explain(reason, 0, 0, None) for reason in expected.values()}) == 4
    # Images without an identity are kept if nothing is held out.
    assert set(decide(images([(None, 2)]), Selection(SHARES), keys())["reason"].tolist()) == {KEEP}


@given(people, st.integers(1, 6), st.sampled_from(["hash", "quality"]))
@quick
def test_a_cap_keeps_its_number_of_images_of_each_identity(given, cap, prefer):
    rows = decide(images(given), Selection(SHARES, rules=(Rule("cap", cap),), prefer=prefer))
    for who, count in given:
        mine = rows[rows["identity"] == identity_key(1, who)]
        kept = mine[mine["reason"] == KEEP]
        assert len(kept) == min(count, cap)
        gone = mine[mine["reason"] == TOO_MANY]
        assert len(kept) + len(gone) == count
        assert set(gone["have"].tolist()) <= {count}
        assert set(gone["limit"].tolist()) <= {cap}
        if prefer == "quality" and len(gone):
            assert kept["sharpness"].min() >= gone["sharpness"].max()


@given(people, st.integers(1, 6), st.integers(1, 6))
@quick
def test_a_greater_cap_keeps_the_images_that_a_smaller_one_keeps(given, one, other):
    low, high = (
        {
            row["row_id"]
            for row in decide(images(given), Selection(SHARES, rules=(Rule("cap", cap),)))
            if row["reason"] == KEEP
        }
        for cap in sorted((one, other))
    )
    assert low <= high


@given(people, st.integers(1, 6))
@quick
def test_small_identities_are_dropped_and_the_reason_says_how_small(given, least):
    rows = decide(images(given), Selection(SHARES, rules=(Rule("min-images", least),)))
    for who, count in given:
        mine = rows[rows["identity"] == identity_key(1, who)]
        assert set(mine["reason"].tolist()) == {KEEP if count >= least else TOO_FEW}
    assert explain(TOO_FEW, 2, 3, None) == "identity has 2 images, fewer than the 3 required"
    attribute = explain(TOO_MANY + OF_ATTRIBUTE, 9, 3, "age")
    assert attribute == "its age has 9 images, more than the 3 allowed"


def test_rules_of_identities_skip_images_without_an_identity():
    rules = (Rule("cap", 1), Rule("min-images", 2), Rule("oversample", 5))
    rows = decide(images([(None, 20)]), Selection(SHARES, rules=rules))
    assert set(rows["reason"].tolist()) == {KEEP}
    assert set(rows["copies"].tolist()) == {1}


@given(people)
@quick
def test_only_the_train_split_gets_copies_and_weights(given):
    rules = (Rule("oversample", 6), Rule("effective-number", 0.9))
    rows = decide(images(given), Selection(SHARES, rules=rules))
    for who, count in given:
        mine = rows[rows["identity"] == identity_key(1, who)]
        if folder_of(rows, who) == {"train"}:
            assert mine["copies"].sum() == max(6, count)
            np.testing.assert_allclose(mine["weight"], 0.1 / (1 - 0.9**count))
        else:
            assert set(mine["copies"].tolist()) == {1}
            assert set(mine["weight"].tolist()) == {1.0}


@given(people, people, st.integers(1, 5), st.integers(1, 4))
@quick
def test_images_of_the_base_are_never_dropped_and_count_under_a_cap(base, new, cap, least):
    usable = np.concatenate([images(base, BASE), images(new)])
    all_keys = np.sort(np.array([identity_key(1, who) for who, _ in base], np.uint64))
    rules = Selection(SHARES, rules=(Rule("min-images", least), Rule("cap", cap)))
    rows = decide(usable, rules)
    in_base = row_ids.origins_of(rows["row_id"]) == BASE
    assert set(rows["reason"][in_base].tolist()) <= {KEEP}
    for who, count in new:
        held = dict(base).get(who, 0)
        mine = rows[(rows["identity"] == identity_key(1, who)) & ~in_base]
        kept = int((mine["reason"] == KEEP).sum())
        assert kept == (min(count, max(0, cap - held)) if held + count >= least else 0)
    # Images of the base stay even if their identity is now excluded.
    for left_out in (IdentityFilter(exclude=all_keys), IdentityFilter(include=NO_KEYS)):
        rows = decide(usable, Selection(SHARES, identity_filter=left_out), held_out=all_keys)
        assert set(rows["reason"][in_base].tolist()) <= {KEEP}


def test_new_images_of_an_identity_of_the_base_go_into_its_split():
    base = images([(f"id{n}", 2) for n in range(9)], BASE, [(f"id{n}", "val") for n in range(9)])
    rows = decide(np.concatenate([base, images([(f"id{n}", 3) for n in range(9)])]))
    assert {FOLDERS[split] for split in rows["split"]} == {"val"}
    assert set(rows["reason"].tolist()) == {KEEP}


def test_a_split_request_that_contradicts_the_split_in_the_base_drops_new_images_only():
    base, new = (
        images([("ada", 2)], BASE, [("ada", "val")]),
        images([("ada", 2)], NEW, [("ada", "test")]),
    )
    rows = decide(np.concatenate([base, new]))
    assert rows["reason"].tolist() == [KEEP, KEEP, TWO_SPLITS, TWO_SPLITS]


@given(people, st.sampled_from([0.0, 0.5, 0.999]), st.integers(1, 9))
@quick
def test_normalized_weights_have_mean_1_over_the_records_of_train(given, beta, least):
    rules = Selection(SHARES, rules=(Rule("oversample", least), Rule("effective-number", beta)))
    rows = decide(images([*given, (None, 2)]), rules)
    weight, count = normalizing_sums(DecisionRows.of(rows))
    train = rows[rows["split"] == SPLITS.index("train")]
    assert count == train["copies"].sum()
    if count:
        scaled = np.repeat(train["weight"], train["copies"]) * (count / weight)
        assert scaled.mean() == pytest.approx(1.0, rel=1e-12)
    order = np.random.default_rng(1).permutation(len(rows))
    # To the last bit: a manifest's bytes depend on it.
    assert normalizing_sums(DecisionRows.of(rows[order])) == (weight, count)


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

"""Which split the selection puts an identity into."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.core.row_ids import BASE, NEW
from facemill.transforms.dataset.identity_filter import identity_key
from facemill.transforms.dataset.split_names import FOLDERS, SPLITS, UNLABELED
from facemill.transforms.dataset.splits import draw_splits
from facemill.transforms.selection.selection import (
    KEEP,
    TWO_SPLITS,
    Selection,
    explain,
)
from tests.transforms.selection.selecting import (
    RULES,
    SHARES,
    by_row_id,
    decide,
    folder_of,
    images,
    keys,
    people,
    quick,
    requests_of,
)


@given(people, st.sampled_from(RULES), st.sampled_from(["hash", "quality"]))
@quick
def test_an_identity_is_in_the_one_split_that_its_key_draws(given, rules, prefer):
    rows = decide(images([*given, (None, 3)]), Selection(SHARES, rules=rules, prefer=prefer))
    for who, _ in given:
        (drawn,) = draw_splits(np.array([identity_key(1, who)], np.uint64), SHARES)
        assert folder_of(rows, who) == {SPLITS[drawn]}
    assert folder_of(rows, None) == {UNLABELED}


@pytest.mark.moderate
@given(people, people)
@quick
def test_added_images_do_not_change_the_split_of_others(given, more):
    grown = Counter(dict(given)) + Counter(dict(more))
    few, many = (by_row_id(decide(images(some))) for some in (given, grown.items()))
    assert few.items() <= many.items()


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

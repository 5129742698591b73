import json
from collections import Counter

import pytest

from facemill.pipelines.ingest.held_out import check_base_apart, read_held_out
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.writing import Work

DROPPED = Counter(
    {
        "held_out_identity": 3,
        "held_out_same_pixels": 1,
        "held_out_near_duplicate": 1,
        "excluded_identity": 9,
    }
)


def counts(listed: int, usable: int, **reasons: int) -> dict:
    message = {"listed": listed, "usable": usable, "by_pixels": min(30, listed - usable)}
    return {**message, "reasons": reasons, "fingerprint": "abc"}


def work_of(root, held_out: dict, records: int = 0, shown=()) -> Work:
    for name, found in {
        "held_out": held_out,
        "named": {"identities": 7, "records": records},
        "overlap": {"records": len(shown), "examples": list(shown)},
    }.items():
        (root / f"{name}.json").write_text(json.dumps([found]))
    return Work(str(root), "dataset", {}, {}, str(root), OutputFiles(str(root)), lambda: None)


def test_figures_of_the_held_out_set_are_in_manifest_and_text(tmp_path):
    held_out = {**counts(1_234, 1_200, torn=1, blank=3, dark=30), "ignored": 5}
    work = work_of(tmp_path, held_out)
    found = read_held_out(work, DROPPED)
    assert found.to_manifest() == {
        **{"listed": 1_234, "ignored": 5, "usable": 1_200, "unusable": 34, "by_pixels": 30},
        "reasons": {"dark": 30, "blank": 3, "torn": 1},
        "identities": 7,
        "dropped": {"identity": 3, "picture": 2},
        "fingerprint": "abc",
    }
    assert list(found.reasons) == ["dark", "blank", "torn"]
    assert found.words == [
        "1,200 of 1,234 images of the held-out set were compared, 30 of the others by equal "
        "pixels alone (30 dark; 3 blank; 1 torn); 5 files in it were ignored",
        "identities that it names: 7; images that were dropped by identity: 3, by photo: 2",
    ]


def test_figures_of_a_usable_set_without_overlap_are_in_the_text(tmp_path):
    found = read_held_out(work_of(tmp_path, counts(2, 2)), Counter())
    assert found.words == [
        "2 of 2 images of the held-out set were compared",
        "identities that it names: 7; images that were dropped by identity: 0, by photo: 0",
    ]


def test_the_most_frequent_reasons_are_kept(tmp_path):
    reasons = {f"reason {number:02d}": 1 + number % 2 for number in range(30)}
    found = read_held_out(work_of(tmp_path, counts(100, 55, **reasons)), Counter())
    assert len(found.reasons) == 20
    assert list(found.reasons)[:2] == ["reason 01", "reason 03"]
    assert list(found.reasons)[15:17] == ["reason 00", "reason 02"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (counts(3, 0, dark=2, torn=1), r"none of its 3 can be used \(2 dark; 1 torn\); check"),
        (counts(0, 0), "none of its 0 can be used; check"),
    ],
)
def test_a_set_without_a_usable_image_fails_the_run(tmp_path, given, message):
    with pytest.raises(RunError, match=f"^--exclude-dataset must hold images .*{message}"):
        read_held_out(work_of(tmp_path, given), DROPPED)


@pytest.mark.parametrize(
    ("overlap", "message"),
    [
        ({"records": 3}, "3 of its records show an identity of the held-out set and 0 a photo"),
        ({"shown": ["z/1", "z/2"]}, "and 2 a photo of it, z/1, z/2 among them; ingest"),
    ],
)
def test_records_of_the_base_that_are_held_out_fail_the_run(tmp_path, overlap, message):
    check_base_apart(work_of(tmp_path, counts(2, 2)))
    with pytest.raises(RunError, match=f"^--append-to must share nothing with .*{message}"):
        check_base_apart(work_of(tmp_path, counts(2, 2), **overlap))

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.pipelines.ingest import checks
from facemill.pipelines.ingest.checks import check
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.references import Base
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scan.listing import image_key
from facemill.transforms.selection.rules import Rule
from facemill.transforms.shards.index import SCHEMA

OPTIONS = IngestOptions("i", "o")
FAULT = "fault of facemill"


def row(image_id: str, outcome: str = "kept", **more) -> dict:
    found = {**dict.fromkeys(SCHEMA.names), "image_id": image_id, "outcome": outcome}
    found |= {"identity": image_id.split("/")[0], "reason": "", "attributes": []}
    if outcome == "kept":
        found |= {"split": "train", "copies": 1, "weight": 1.0}
    elif outcome != "duplicate":
        found["reason"] = f"why {outcome}"
    return {**found, **more}


ROWS = [
    row("a/1"),
    row("a/2", copies=3),
    row("a/3", "duplicate"),
    row("b/1", split="val"),
    row("b/2", "rejected"),
    row("c/1", "conflict", reason="same pixels under identity b", split="quarantine"),
    row("d/1", "dropped"),
    row("n/1", split="unlabeled", identity=None, attributes=[("age", "20s")]),
]
SHARDS = {"train/x": 4, "val/x": 1, "unlabeled/x": 1, "quarantine/x": 1}


def work_of(
    root: Path,
    parts=(ROWS[:5], ROWS[5:]),
    shards=SHARDS,
    listed=None,
    held_out=(),
    repeated=(),
    named=0,
    passed_over=0,
) -> Work:
    scratch = root / ".work-1"
    (scratch / "index").mkdir(parents=True)
    (scratch / "index-row-ids").mkdir()
    receipts = []
    for number, rows in enumerate(parts):
        path = f"index/part-{number}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), scratch / path)
        row_ids = pa.table({"row_id": pa.array(range(len(rows)), pa.uint64())})
        pq.write_table(row_ids, scratch / f"index-row-ids/part-{number}.parquet")
        receipts.append({"path": path, "fingerprint": f"{number + 5:064x}"})
    count = sum(map(len, parts)) if listed is None else listed
    for name, found in {
        "listed": [{"listed": count}],
        "shards": [{"path": path, "records": records} for path, records in shards.items()],
        "index": receipts,
        "held_out": list(held_out),
        "named": [{"identities": 7, "records": named}],
        "overlap": [{"records": 0, "examples": []}],
        "passed_over": [{"passed_over": passed_over}],
        "repeated": [{"key": image_key(name)} for name in repeated],
    }.items():
        (scratch / f"{name}.json").write_text(json.dumps(found))
    files = OutputFiles(str(scratch))
    return Work(str(root), "dataset", {}, {}, str(scratch), files, lambda: None)


def test_figures_are_sums_of_the_index_and_the_shards(tmp_path):
    found = check(work_of(tmp_path), OPTIONS, None)
    assert found.counts == {
        "listed": 8,
        **{"kept": 4, "duplicate": 1, "conflict": 1, "rejected": 1, "dropped": 1, "ignored": 0},
    }
    assert found.splits == {
        "train": {"identities": 1, "records": 4, "shards": ["train/x"]},
        "val": {"identities": 1, "records": 1, "shards": ["val/x"]},
        "test": {"identities": 0, "records": 0, "shards": []},
        "unlabeled": {"identities": 0, "records": 1, "shards": ["unlabeled/x"]},
        "quarantine": {"identities": 1, "records": 1, "shards": ["quarantine/x"]},
    }
    # Of a, b, c and d; then of a's four records and b's one.
    assert found.balance == {
        "identity": {"before": {"1": 2, "2": 1, "3": 1}, "after": {"1": 1, "4": 1}}
    }
    assert found.source_fingerprint == f"{11:064x}"
    assert [one["path"] for one in found.files] == [
        *SHARDS,
        "index/part-0.parquet",
        "index/part-1.parquet",
    ]


def test_identities_with_two_images_are_counted_by_images_and_not_by_copies(tmp_path):
    rows = [
        *(row("a/1"), row("a/2")),
        row("b/1", copies=9),
        *(row("c/1"), row("c/2", split="val")),
        *(row(f"d/{number}", split="test") for number in range(3)),
        row("d/9", "duplicate"),
        row("e/1", "conflict", split="quarantine"),
    ]
    shards = {"train/x": 12, "val/x": 1, "test/x": 3, "quarantine/x": 1}
    found = check(work_of(tmp_path, parts=(rows[:4], rows[4:]), shards=shards), OPTIONS, None)
    assert [found.of_two[name] for name in ("train", "val", "test")] == [1, 0, 1]
    # c has its two images in two splits.
    assert found.of_two_in_all == 3
    assert found.in_two_splits == 1


def test_two_names_with_the_same_key_are_no_repetition(tmp_path):
    found = check(work_of(tmp_path, repeated=["a/1", "b/2"]), OPTIONS, None)
    assert found.counts["listed"] == 8


def test_the_listing_is_unknown_until_it_ends(tmp_path):
    work = work_of(tmp_path)
    assert checks.listed_so_far(work) == 8
    Path(work.path("listed.json")).unlink()
    assert checks.listed_so_far(work) is None
    # Reading the listing does not make the folder that a commit has removed.
    shutil.rmtree(work.scratch)
    assert checks.listed_so_far(work) is None
    assert not Path(work.scratch).exists()


def test_a_missing_listing_is_an_error_and_is_not_treated_as_empty(tmp_path):
    work = work_of(tmp_path)
    Path(work.path("listed.json")).unlink()
    with pytest.raises(RunError, match="`output` must be on storage that"):
        check(work, OPTIONS, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"listed": 0}, "--input must hold images, but none was found in it"),
        ({"listed": 9}, "9 were listed and 8 have one"),
        ({"parts": [ROWS[:5]], "listed": 8}, "8 were listed and 5 have one"),
        ({"parts": [[ROWS[0], *ROWS], []], "repeated": ["a/1"]}, "one row, but a/1 has two"),
        # In two parts, and beside a key that two names have by chance.
        ({"parts": [ROWS, [ROWS[6]]], "repeated": ["b/1", "d/1"]}, "one row, but d/1 has two"),
        ({"parts": [[{**ROWS[0], "outcome": "lost"}, *ROWS[1:]]]}, "8 were listed and 8 have one"),
        ({"shards": {**SHARDS, "train/x": 3}}, f"4 records of train and the shards 3.*{FAULT}"),
        ({"shards": {**SHARDS, "val/y": 1}}, f"1 records of val and the shards 2.*{FAULT}"),
        ({"parts": [[row("a/1", "dropped"), row("a/2", "conflict"), row("a/3", "duplicate")]],
          "shards": {}}, r"all 3 were set aside \(1 why \w+; 1 why \w+\)"),
        ({"parts": [[row("a/1", split="val")]], "shards": {"val/x": 1}},
         "train split must not be empty, but its share of 1 identities is none"),
    ],
)  # fmt: skip
def test_figures_that_contradict_each_other_fail_the_run(tmp_path, changes, message):
    with pytest.raises(RunError, match=message):
        check(work_of(tmp_path, **changes), OPTIONS, None)


def rejected(count: int, of: int) -> dict:
    rows = [row(f"a/{n}", "rejected" if n < count else "kept") for n in range(of)]
    return {"parts": [rows], "shards": {"train/x": of - count}}


def test_ignored_files_do_not_count_for_the_share_of_rejected_images(tmp_path):
    def with_ignored(rejected: int, kept: int) -> dict:
        outcomes = ["rejected"] * rejected + ["kept"] * kept + ["ignored"] * 20
        rows = [row(f"a/{number}", outcome) for number, outcome in enumerate(outcomes)]
        return {"parts": (rows,), "shards": {"train/x": kept}}

    found = check(work_of(tmp_path / "a", **with_ignored(2, 2)), OPTIONS, None)
    assert (found.counts["listed"], found.counts["ignored"]) == (24, 20)
    with pytest.raises(RunError, match=r"At most 50% .* 3 of 4 were \(3 why rejected\); mend"):
        check(work_of(tmp_path / "b", **with_ignored(3, 1)), OPTIONS, None)


def test_too_many_rejected_images_fail_the_run(tmp_path):
    assert check(work_of(tmp_path / "a", **rejected(2, 4)), OPTIONS, None).counts["rejected"] == 2
    with pytest.raises(RunError, match=r"At most 50% .* 3 of 4 were \(3 why rejected\); mend"):
        check(work_of(tmp_path / "b", **rejected(3, 4)), OPTIONS, None)


def base_of(root: Path, more: Sequence[dict] = ()) -> Base:
    (root / "index").mkdir(parents=True)
    rows = [row(f"z/{n}", split="test") for n in range(20)]
    rows += more
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), root / "index" / "old.parquet")
    manifest = {
        "counts": {"listed": len(rows), "rejected": 0, "kept": 20},
        "splits": {"test": {"identities": 1, "records": 20, "shards": ["test/old"]}},
        "source": {"fingerprint": f"{2**256 - 2:064x}"},
        "files": [{"path": "index/old.parquet"}, {"path": "test/old"}],
    }
    return Base(str(root), manifest)


HELD_OUT = [{"listed": 2, "usable": 2, "by_pixels": 0, "reasons": {}, "fingerprint": "abc"}]


def leaks(count: int) -> list[dict]:
    code = "held_out_identity"
    return [row(f"l/{number}", "dropped", reason_code=code) for number in range(count)]


def test_images_dropped_in_this_run_count_for_the_held_out_set(tmp_path):
    assert check(work_of(tmp_path / "none"), OPTIONS, None).held_out is None
    options = IngestOptions("i", "o", exclude_dataset="held")
    base = base_of(tmp_path / "base", leaks(5))
    parts = (ROWS, [{**one, "image_id": f"n{one['image_id']}"} for one in leaks(2)])
    found = check(work_of(tmp_path / "new", parts, held_out=HELD_OUT), options, base).held_out
    assert found is not None
    assert found.dropped_identity == 2
    overlap = work_of(tmp_path / "overlap", parts, held_out=HELD_OUT, named=3)
    with pytest.raises(RunError, match=r"^--append-to must share nothing .* but 3 of its records"):
        check(overlap, options, base)
    # Without a base no records can overlap.
    assert (
        check(work_of(tmp_path / "first", held_out=HELD_OUT, named=3), options, None).held_out
        is not None
    )


def test_the_rows_of_the_base_count_too(tmp_path):
    found = check(work_of(tmp_path / "new"), OPTIONS, base_of(tmp_path / "base"))
    assert (found.counts["listed"], found.counts["kept"]) == (28, 24)
    assert found.splits["test"] == {"identities": 1, "records": 20, "shards": ["test/old"]}
    assert found.balance["identity"]["after"] == {"1": 1, "4": 1, "20": 1}
    # A sum, so that a set in two parts has the fingerprint of the set in one part.
    assert found.source_fingerprint == f"{9:064x}"
    new = {"kept": 4, "duplicate": 1, "conflict": 1, "rejected": 1, "dropped": 1, "ignored": 0}
    assert found.added == {"listed": 8, **new}
    assert found.passed_over == 0
    assert check(work_of(tmp_path / "alone"), OPTIONS, None).added is None
    with pytest.raises(RunError, match="images that --append-to does not have"):
        check(work_of(tmp_path / "none", listed=0), OPTIONS, base_of(tmp_path / "another"))
    work = work_of(tmp_path / "known", listed=0, passed_over=5)
    with pytest.raises(RunError, match="all its 5 have image_ids of that dataset; check"):
        check(work, OPTIONS, base_of(tmp_path / "third"))


def test_duplicates_that_contradict_the_kept_image_are_counted(tmp_path):
    found = check(work_of(tmp_path / "none"), OPTIONS, base_of(tmp_path / "base"))
    assert found.contradictions == {"images": 0, "attributes": {}}
    rows = [
        *ROWS,
        row("a/8", "duplicate", contradicts=["age", "race"]),
        row("a/9", "duplicate", contradicts=["age"]),
    ]
    found = check(work_of(tmp_path / "some", parts=(rows[:9], rows[9:])), OPTIONS, None)
    assert found.contradictions == {"images": 2, "attributes": {"age": 2, "race": 1}}


def test_images_that_were_passed_over_are_counted(tmp_path):
    work = work_of(tmp_path / "new", passed_over=5)
    assert check(work, OPTIONS, base_of(tmp_path / "base")).passed_over == 5


def test_images_of_the_base_do_not_count_for_the_share_of_rejected_images(tmp_path):
    with pytest.raises(RunError, match="3 of 4 were"):
        check(work_of(tmp_path / "new", **rejected(3, 4)), OPTIONS, base_of(tmp_path / "base"))


def test_a_rule_of_an_attribute_that_no_image_has_fails_the_run(tmp_path):
    work = work_of(tmp_path)
    check(work, IngestOptions("i", "o", balance=(Rule("cap", 5, "age"),)), None)
    with pytest.raises(
        RunError, match="attribute that images of the input have, got eyes, but they have age; name"
    ):
        check(work, IngestOptions("i", "o", balance=(Rule("cap", 5, "eyes"),)), None)
    none = work_of(tmp_path / "none", parts=[ROWS[:7]], shards={**SHARDS, "unlabeled/x": 0})
    with pytest.raises(RunError, match=r"got eyes, but they have none; leave @eyes out"):
        check(none, IngestOptions("i", "o", balance=(Rule("cap", 5, "eyes"),)), None)


def test_max_rejected_may_be_zero(tmp_path):
    strict = IngestOptions("i", "o", max_rejected=0.0)
    assert check(work_of(tmp_path / "a", **rejected(0, 4)), strict, None).counts["kept"] == 4
    rows = [row("a/1"), row("a/2", "rejected"), *(row(f"b/{n}", "conflict") for n in range(5))]
    work = work_of(tmp_path / "b", parts=[rows], shards={"train/x": 1})
    # Conflicts are not counted as rejected.
    with pytest.raises(RunError, match=r"^At most 0% .* 1 of 7 were \(1 why rejected\); mend"):
        check(work, strict, None)

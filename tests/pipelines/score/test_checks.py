"""The checks of a scoring run, on parts that the tests write."""

import hashlib
import json
from collections import Counter

import pyarrow as pa
import pytest

from facemill.pipelines.score import checks
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scan.listing import image_key
from facemill.transforms.scoring.write import ERRORS


@pytest.fixture
def work(tmp_path) -> Work:
    files = OutputFiles(str(tmp_path))
    return Work(str(tmp_path), "embeddings", {}, {}, str(tmp_path), files, lambda: None)


def wrote(work: Work, listed: int, *parts: list[str], errors: tuple = (), ignored: int = 0) -> None:
    """Writes what a job leaves: parts with these keys, parts of errors, and receipts."""
    written: dict[str, list] = {"parts": [], "errors": []}
    named = [("parts", f"part-{number}.parquet", keys) for number, keys in enumerate(parts)]
    named += [("errors", f"errors/part-{number}", keys) for number, keys in enumerate(errors)]
    for kind, name, keys in named:
        columns = {"image_id": keys, "source": keys, "reason": ["empty file"] * len(keys)}
        columns |= {"reason_code": ["empty_file"] * len(keys), "sha256": [""] * len(keys)}
        receipt = write_part(pa.table(columns, schema=ERRORS), work.files, name, 100)
        names = sum(int(hashlib.sha256(key.encode()).hexdigest(), 16) for key in keys)
        written[kind].append({"path": name, **receipt, "names": f"{names % (1 << 256):064x}"})
    every = Counter(key for _, _, keys in named for key in keys)
    written["listed"], written["ignored"] = [{"listed": listed}], [{"ignored": ignored}]
    written["repeated"] = [{"key": image_key(key)} for key, times in every.items() if times > 1]
    good, bad = (
        sum(len(keys) for one, _, keys in named if one == kind) for kind in ("parts", "errors")
    )
    written["counts"] = [
        {"photos": good, "images": good, "failures": bad + ignored, "failed_photos": bad + ignored}
    ]
    for kind, receipts in written.items():
        with open(work.path(f"{kind}.json"), "w") as stream:
            json.dump(receipts, stream)


def test_every_row_is_counted_and_every_part_is_a_file(work):
    wrote(work, 5, ["a", "c"], ["b"], errors=(["d"], ["e"]))
    checked = checks.check(work, 0.5)
    assert checked.counts == {"listed": 5, "scored": 3, "rejected": 2, "ignored": 0}
    assert [entry["path"] for entry in checked.files] == [
        *("errors/part-0", "errors/part-1", "part-0.parquet", "part-1.parquet")
    ]
    digests = (int(hashlib.sha256(key.encode()).hexdigest(), 16) for key in "abcde")
    assert checked.source_fingerprint == f"{sum(digests) % (1 << 256):064x}"


def test_ignored_files_are_counted_and_do_not_count_for_the_share_of_rejected_images(work):
    wrote(work, 14, ["a", "b"], errors=(["c", "d"],), ignored=10)
    assert checks.check(work, 0.5).counts == {
        **{"listed": 14, "scored": 2, "rejected": 2, "ignored": 10}
    }
    wrote(work, 14, ["a"], errors=(["b", "c", "d"],), ignored=10)
    with pytest.raises(RunError, match=r"At most 50% of the images .* 3 of 4 were"):
        checks.check(work, 0.5)
    wrote(work, 1, errors=(["b"],))
    with pytest.raises(RunError, match=r"^One image or more must have an embedding, but none of 1"):
        checks.check(work, 1.0)
    wrote(work, 14, ["a"], errors=(), ignored=10)
    with pytest.raises(RunError, match="of 14 photos 11 were read"):
        checks.check(work, 0.5)
    wrote(work, 3, ignored=3)
    with pytest.raises(RunError, match="all 3 files in it have names that images never have"):
        checks.check(work, 0.5)


@pytest.mark.parametrize(
    ("parts", "errors"),
    [
        ([["a", "a"], ["b"]], ()),
        ([["a"], ["a", "b"]], ()),
        ([["a", "b"]], (["a"],)),
        ([["b"]], (["a", "a"],)),
        ([["b"]], (["a"], ["a"])),
    ],
)
def test_an_image_with_two_rows_is_noticed_wherever_they_are(work, parts, errors):
    wrote(work, 3, *parts, errors=errors)
    with pytest.raises(RunError, match="Every image must have one row, but a has two"):
        checks.check(work, 0.5)


def test_a_missing_row_is_noticed(work):
    wrote(work, 4, ["a", "b"], errors=(["c"],))
    with pytest.raises(RunError, match="of 4 photos 3 were read"):
        checks.check(work, 0.5)


@pytest.mark.parametrize(
    ("listed", "promised", "message"),
    [
        (0, None, "--input must hold images"),
        (3, 4, "must hold the 4 records of its manifest, but its shards hold 3"),
        (3, 3, "3 of 3 were .3 empty file."),
    ],
)
def test_a_run_that_must_fail_ends_in_one_sentence(work, listed, promised, message):
    wrote(work, listed, errors=(["a", "b", "c"],))
    with pytest.raises(RunError, match=message):
        checks.check(work, 0.5, promised=promised)

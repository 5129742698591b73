"""`facemill ingest --append-to`: new versions of a dataset."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from facemill.model.data.load import load_dataset
from tests.artifacts import contents
from tests.pipelines.ingest.ingesting import (
    check,
    draw,
    ingest,
    manifest_of,
    refused,
    rows_of,
    section,
    splits,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def grown(base, tmp_path_factory) -> Path:
    """A second version: an image of the base again, copies of its images, and new images."""
    root = tmp_path_factory.mktemp("grown")
    photos = root / "photos"
    draw(photos, 0, 0)
    # Copies of photos of the base: re-encoded, with equal pixels, and of another identity.
    draw(photos, 1, 0, "id01/again.jpg", quality=80)
    (photos / "id02").mkdir()
    (photos / "id02" / "same.jpg").write_bytes((base / "photos/id02/001.jpg").read_bytes())
    draw(photos, 3, 1, "somebody/else.jpg")
    (photos / "somebody" / "broken.jpg").write_bytes(b"no image")
    for identity in range(8, 14):
        for image in range(10, 13):
            draw(photos, identity, image)
    ingest(photos, root / "dataset", "--append-to", base / "dataset")
    return root


def test_a_new_version_holds_the_files_and_rows_of_its_base_unchanged(base, grown):
    before, after = check(base / "dataset"), check(grown / "dataset")
    assert {key: after[key] for key in before} == before
    manifest = manifest_of(base / "dataset")
    new = manifest_of(grown / "dataset")
    assert new["version"] == 2
    kept = {entry["path"]: entry for entry in new["files"]}
    shared = [
        entry for entry in manifest["files"] if entry["path"].endswith((".tfrecord", ".parquet"))
    ]
    assert len(shared) >= 4
    for entry in shared:
        assert kept[entry["path"]] == entry
        one, other = (os.stat(root / "dataset" / entry["path"]) for root in (base, grown))
        # One file with two names, not a copy.
        assert (one.st_ino, one.st_dev) == (other.st_ino, other.st_dev)
    added = {path for path in kept if ".v2." in path}
    assert {path.split("/")[0] for path in added} >= {"train", "index"}


def test_new_images_are_compared_with_those_of_the_base(base, grown):
    before, after = rows_of(base / "dataset"), rows_of(grown / "dataset")
    new = {key: row for key, row in after.items() if key not in before}
    assert new["id01/again.jpg"]["outcome"] == "duplicate"
    assert new["id01/again.jpg"]["duplicate_of"] == "id01/000.jpg"
    same = new["id02/same.jpg"]
    assert (same["outcome"], same["reason"]) == ("duplicate", "same pixels")
    assert same["duplicate_of"] == "id02/001.jpg"
    other = new["somebody/else.jpg"]
    assert (other["outcome"], other["duplicate_of"]) == ("conflict", "id03/001.jpg")
    assert "under identity id03" in other["reason"]
    assert new["somebody/broken.jpg"]["outcome"] == "rejected"
    assert len(new) == 4 + 6 * 3
    assert sum(row["outcome"] == "kept" for row in new.values()) == 18
    # The image that the base has is not listed a second time.
    assert manifest_of(grown / "dataset")["counts"]["listed"] == len(before) + len(new)


def test_no_identity_moves_between_splits(base, grown):
    before, after = (splits(rows_of(root / "dataset")) for root in (base, grown))
    assert len(after) == 14
    for name, found in after.items():
        assert len(found) == 1
        assert before.get(name, found) == found


@pytest.mark.long
def test_a_third_version_can_be_made_of_the_second(base, grown, tmp_path):
    photos = tmp_path / "photos"
    # A copy of an image of each version, and no new image.
    draw(photos, 4, 0, "id04/copy.jpg", quality=85)
    draw(photos, 12, 11, "id12/copy.jpg", quality=85)
    ingest(photos, tmp_path / "dataset", "--append-to", grown / "dataset")
    before, after = rows_of(grown / "dataset"), check(tmp_path / "dataset")
    assert {key: after[key] for key in before} == before
    assert manifest_of(tmp_path / "dataset")["version"] == 3
    found = {key: row["duplicate_of"] for key, row in after.items() if key not in before}
    assert found == {"id04/copy.jpg": "id04/000.jpg", "id12/copy.jpg": "id12/011.jpg"}
    moments = [manifest_of(root / "dataset")["moments"] for root in (grown, tmp_path)]
    # The moments are measured anew over the same train records.
    np.testing.assert_allclose(moments[0]["pixel_mean"], moments[1]["pixel_mean"], atol=0.5)
    # Training reads the records of all three versions.
    described = manifest_of(tmp_path / "dataset")["splits"]["train"]
    batches = load_dataset(tmp_path / "dataset", "train", 8, verify=True)
    labels = np.concatenate([batch["label"].numpy() for batch in batches])
    assert len(labels) == described["records"]
    assert set(labels.tolist()) == set(range(described["identities"]))


def test_an_input_without_new_images_is_refused_in_one_sentence(base, tmp_path):
    message = refused(base / "photos", tmp_path / "out", "--append-to", base / "dataset", code=1)
    assert "must hold images that --append-to does not have, but none was found" in message


def test_other_options_are_refused_in_one_sentence(base, tmp_path):
    given = ("--append-to", base / "dataset", "--seed", 2)
    message = refused(base / "photos", tmp_path / "out", *given)
    assert "--seed is 2 here and 1 there" in message
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Path:
    """Three versions, of which the first sets images aside and has a file that is ignored."""
    root = tmp_path_factory.mktemp("chain")
    one, two, three = (root / name for name in ("one", "two", "three"))
    for name, first, count in ((one, 0, 2), (two, 2, 2), (three, 4, 1)):
        for image in range(first, first + count):
            draw(name, 70, image, f"few/{image}.jpg")
        for image in range(3):
            draw(name, 80 + first, image, f"sam{first}/{image}.jpg")
    for image in range(2):
        draw(one, 90, image, f"joe/{image}.jpg")
    for number, name in enumerate(("ada", "bob", "eve")):
        for image in range(3):
            draw(one, 40 + number, image, f"{name}/{image}.jpg")
    draw(one, 60, 0, "ada/x.png")
    draw(one, 60, 0, "bob/x.png")
    (one / "eve" / "copy.jpg").write_bytes((one / "eve/0.jpg").read_bytes())
    (one / "ada" / "notes.txt").write_text("no photo")
    # Two copies of a photo count once.
    (two / "joe").mkdir()
    (two / "joe" / "copy.jpg").write_bytes((one / "joe/0.jpg").read_bytes())
    draw(two, 60, 0, "max/new.png")
    draw(two, 60, 0, "ada/new.png")
    for image in range(3):
        draw(two, 71, image, f"max/{image}.jpg")
    # The base has another image of this image_id: this one is counted as passed over.
    draw(two, 71, 5, "eve/1.jpg")
    (two / "ada" / "notes.txt").write_text("no photo")
    (two / "ada" / "more.txt").write_text("no photo")
    flags = ("--dedup", "exact", "--min-images", 3, "--split", "train=1", "--max-rejected", 0)
    ingest(one, root / "v1", *flags)
    ingest(two, root / "v2", *flags, "--append-to", root / "v1")
    ingest(three, root / "v3", *flags, "--append-to", root / "v2")
    return root


def test_copies_of_images_that_the_base_did_not_keep_are_not_kept(chain):
    rows = check(chain / "v2")
    for name, other, whose in (("max", "ada/x.png", "ada"), ("ada", "bob/x.png", "bob")):
        row = rows[f"{name}/new.png"]
        assert (row["outcome"], row["duplicate_of"]) == ("conflict", other)
        assert row["reason"] == f"same pixels under identity {whose}"
    assert rows["max/0.jpg"]["outcome"] == "kept"


def test_files_that_the_base_has_or_ignored_are_passed_over(chain):
    outcomes = {name: row["outcome"] for name, row in rows_of(chain / "v2").items()}
    assert outcomes["ada/0.jpg"] == "kept"
    ignored = {name for name, outcome in outcomes.items() if outcome == "ignored"}
    assert ignored == {"ada/notes.txt", "ada/more.txt"}
    assert manifest_of(chain / "v2")["counts"]["ignored"] == 2
    assert manifest_of(chain / "v2")["passed_over"] == 2
    assert manifest_of(chain / "v1")["passed_over"] is None
    assert "2 images of the input were passed over" in section(chain / "v2", "Outcomes")


def test_the_report_of_a_version_shows_images_of_its_base(base, grown):
    outcomes = section(grown / "dataset", "Outcomes")
    assert "this version" in outcomes
    assert re.search(r"<td[^>]*>kept</td>\s*<td[^>]*>58</td>\s*<td[^>]*>18</td>", outcomes)
    assert "1 images of the input were passed over" in outcomes
    for title, note in (
        *(("Splits", "Of all images of this version."), ("Balance", "Of all images of this")),
        *(("Quality", "that came with this version"), ("Samples", "that came with this version")),
    ):
        assert note in section(grown / "dataset", title)
        assert note not in section(base / "dataset", title)
    conflicts = section(grown / "dataset", "Conflicts")
    assert conflicts.count("data:image/") == 2
    assert "id03/001.jpg" in conflicts
    assert conflicts.count("in the version before") == 1
    assert section(grown / "dataset", "Duplicates").count("data:image/") == 4


def test_images_that_the_base_dropped_count_for_min_images(chain):
    rows = check(chain / "v3")
    few = [rows[f"few/{image}.jpg"]["outcome"] for image in range(5)]
    assert few == ["dropped", "dropped", "kept", "kept", "kept"]
    copy = rows["joe/copy.jpg"]
    assert copy["reason"] == "identity has 2 images, fewer than the 3 required"


def test_an_output_in_a_folder_that_is_read_is_refused(base, tmp_path):
    shutil.copytree(base / "dataset", tmp_path / "dataset")
    for flag in ("--append-to", "--exclude-dataset"):
        given = (base / "photos", tmp_path / "dataset" / "v2", flag, tmp_path / "dataset")
        assert f"--output must not lie in {flag}, got" in refused(*given)
        given = (base / "photos", tmp_path, flag, tmp_path / "dataset")
        assert f"{flag} must not lie in --output, got" in refused(*given)
    assert contents(tmp_path / "dataset") == contents(base / "dataset")

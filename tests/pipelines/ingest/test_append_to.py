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


def test_copies_of_images_that_the_base_did_not_keep_are_not_kept(tmp_path):
    photos, more = tmp_path / "photos", tmp_path / "more"
    for number, name in enumerate(("ada", "bob", "eve")):
        for image in range(3):
            draw(photos, 40 + number, image, f"{name}/{image}.jpg")
    draw(photos, 60, 0, "ada/x.png")
    draw(photos, 60, 0, "bob/x.png")
    (photos / "eve" / "copy.jpg").write_bytes(draw(photos, 42, 0, "eve/0.jpg").read_bytes())
    ingest(photos, tmp_path / "one", "--dedup", "exact", "--split", "train=1")
    draw(more, 60, 0, "max/new.png")
    draw(more, 60, 0, "ada/new.png")
    draw(more, 70, 0, "max/0.jpg")
    # The base has another image of this image_id: this one is counted as passed over.
    draw(more, 70, 1, "eve/1.jpg")
    given = ("--dedup", "exact", "--split", "train=1", "--append-to", tmp_path / "one")
    ingest(more, tmp_path / "two", *given)
    rows = check(tmp_path / "two")
    for name, other, whose in (("max", "ada/x.png", "ada"), ("ada", "bob/x.png", "bob")):
        row = rows[f"{name}/new.png"]
        assert (row["outcome"], row["duplicate_of"]) == ("conflict", other)
        assert row["reason"] == f"same pixels under identity {whose}"
    assert rows["max/0.jpg"]["outcome"] == "kept"
    assert manifest_of(tmp_path / "two")["passed_over"] == 1
    assert manifest_of(tmp_path / "one")["passed_over"] is None
    assert "1 images of the input were passed over" in section(tmp_path / "two", "Outcomes")


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


def test_images_that_the_base_dropped_count_for_min_images(tmp_path):
    for name, first, count in (("one", 0, 2), ("two", 2, 2), ("three", 4, 1)):
        for image in range(first, first + count):
            draw(tmp_path / name, 70, image, f"ada/{image}.jpg")
        for image in range(3):
            draw(tmp_path / name, 80 + first, image, f"bob{first}/{image}.jpg")
    # Two copies of a photo count once.
    (tmp_path / "two" / "joe").mkdir()
    for image in range(2):
        draw(tmp_path / "one", 90, image, f"joe/{image}.jpg")
    copy = (tmp_path / "one/joe/0.jpg").read_bytes()
    (tmp_path / "two/joe/copy.jpg").write_bytes(copy)
    flags = ("--min-images", 3, "--split", "train=1")
    ingest(tmp_path / "one", tmp_path / "v1", *flags)
    ingest(tmp_path / "two", tmp_path / "v2", *flags, "--append-to", tmp_path / "v1")
    ingest(tmp_path / "three", tmp_path / "v3", *flags, "--append-to", tmp_path / "v2")
    rows = check(tmp_path / "v3")
    ada = [rows[f"ada/{image}.jpg"]["outcome"] for image in range(5)]
    assert ada == ["dropped", "dropped", "kept", "kept", "kept"]
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

"""`facemill ingest` with other policies for conflicts and splits than the default."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemill.pipelines.synthesize.faces.faces import render
from tests.pipelines.ingest.ingesting import (
    SIZE,
    check,
    draw,
    ingest,
    manifest_of,
    one_photo_of_two,
    records_of,
    refused,
    rows_of,
    splits,
    write_names,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def conflicts(tmp_path_factory) -> Path:
    """One photo under ada twice and bob once, one under eve and joe, and more of each."""
    photos = tmp_path_factory.mktemp("conflicts")
    one_photo_of_two(photos)
    draw(photos, 2, 0, "eve/two.jpg")
    draw(photos, 2, 0, "joe/two.jpg", quality=85)
    for number, name in enumerate(("ada", "bob", "eve", "joe")):
        for image in range(3):
            draw(photos, 10 + number, image, f"{name}/{image}.jpg")
    return photos


def test_conflicts_can_be_quarantined(conflicts, tmp_path):
    ingest(conflicts, tmp_path / "out", "--on-conflict", "quarantine", "--split", "train=1")
    rows = check(tmp_path / "out")
    found = {key for key, row in rows.items() if row["outcome"] == "conflict"}
    assert found == {"ada/one.jpg", "ada/two.jpg", "bob/one.jpg", "eve/two.jpg", "joe/two.jpg"}
    assert {key for key, row in rows.items() if row["split"] == "quarantine"} == found
    described = manifest_of(tmp_path / "out")["splits"]["quarantine"]
    assert described["records"] == 5
    assert all(name.startswith("quarantine/") for name in described["shards"])


# `tests.api.test_find_duplicates` has this policy too.
@pytest.mark.long
def test_keep_majority_keeps_the_best_image_of_the_larger_side(conflicts, tmp_path):
    ingest(conflicts, tmp_path / "out", "--on-conflict", "keep-majority", "--split", "train=1")
    rows = check(tmp_path / "out")
    ada = {rows[f"ada/{name}.jpg"]["outcome"] for name in ("one", "two")}
    assert ada == {"kept", "duplicate"}
    assert rows["bob/one.jpg"]["outcome"] == "conflict"
    # One against one is no majority.
    assert rows["eve/two.jpg"]["outcome"] == rows["joe/two.jpg"]["outcome"] == "conflict"
    assert not (tmp_path / "out" / "quarantine").exists()


def test_split_by_image_without_cropping_and_with_min_contrast(base, tmp_path):
    photos = tmp_path / "photos"
    for image in range(24):
        draw(photos, 1, image)
    wide = render(7, 2, 0, 64)[:40]
    Image.fromarray(wide).save(photos / "id01" / "wide.png")
    Image.new("RGB", (SIZE, SIZE), (90, 90, 90)).save(photos / "id01" / "flat.png")
    flags = ("--split-by", "image", "--align", "none", "--min-contrast", 2)
    ingest(photos, tmp_path / "out", *flags)
    rows = check(tmp_path / "out")
    found = Counter(row["split"] for row in rows.values() if row["outcome"] == "kept")
    assert set(found) == {"train", "val", "test"}
    assert sum(found.values()) == 25
    assert rows["id01/flat.png"]["reason"] == "contrast is below 2"
    assert manifest_of(tmp_path / "out")["preprocessing"]["align"] == "none"
    shard, position = rows["id01/wide.png"]["shard"], rows["id01/wide.png"]["position"]
    (encoded,) = [
        features["image/encoded"]
        for name, number, features in records_of(tmp_path / "out")
        if (name, number) == (shard, position)
    ]
    crop = np.asarray(Image.open(io.BytesIO(encoded)), float)
    uncropped = np.asarray(Image.fromarray(wide).resize((32, 32), Image.Resampling.BOX), float)
    middle = Image.fromarray(wide[:, 12:52]).resize((32, 32), Image.Resampling.BOX)
    # The uncropped image, not its center.
    assert np.abs(crop - uncropped).mean() < 6 < np.abs(crop - np.asarray(middle)).mean()


def test_lists_put_identities_into_splits(base, tmp_path):
    before = splits(rows_of(base / "dataset"))
    moved = sorted(before)[:4]
    write_names(tmp_path / "test.txt", *moved[:2])
    write_names(tmp_path / "val.txt", *moved[2:])
    lists = [f"{split}={tmp_path / split}.txt" for split in ("test", "val")]
    given = [word for one in lists for word in ("--split-list", one)]
    ingest(base / "photos", tmp_path / "out", *given)
    after = splits(check(tmp_path / "out"))
    for number, name in enumerate(moved):
        before[name] = {"test"} if number < 2 else {"val"}
    assert after == before
    lists = ("--split-list", f"train={tmp_path}/test.txt", "--split-list", lists[0])
    message = refused(base / "photos", tmp_path / "other", *lists)
    assert "must put an identity into one split, got id00 for train and test" in message

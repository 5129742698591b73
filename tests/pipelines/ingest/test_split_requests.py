"""`facemill ingest` where source, lists and rules contradict each other."""

from collections import Counter
from pathlib import Path

import pytest

from tests.pipelines.ingest.ingesting import (
    check,
    draw,
    ingest,
    one_photo_of_two,
    refused,
    rows_of,
    splits,
    write_manifest,
    write_names,
)

pytestmark = pytest.mark.slow

TRAIN = ("--split", "train=1")


@pytest.fixture(scope="module")
def requested(tmp_path_factory) -> Path:
    """A dataset whose manifest and list ask for splits."""
    root = tmp_path_factory.mktemp("requested")
    rows = [(draw(root, who, image), f"id{who:02d}", "") for who in (1, 2, 3) for image in (0, 1)]
    # The better copy of the photo has no split request.
    rows.append((draw(root, 1, 0, "id01/poor.jpg", quality=40), "id01", "test"))
    torn = root / "id02" / "torn.jpg"
    torn.write_bytes(rows[0][0].read_bytes()[:300])
    rows.append((torn, "id02", "val"))
    rows += [
        (draw(root, who, image), f"id{who:02d}", "train") for who in (4, 5) for image in (0, 1)
    ]
    test = write_names(root / "test.txt", "id04")
    flags = ("--split-list", f"test={test}", *TRAIN)
    ingest(write_manifest(root, "split", rows), root / "out", *flags)
    return root / "out"


def test_split_requests_of_duplicate_and_rejected_images_count(requested):
    found = check(requested)
    assert found["id01/poor.jpg"]["outcome"] == "duplicate"
    assert found["id02/torn.jpg"]["outcome"] == "rejected"
    where = splits(found)
    assert [where[f"id0{who}"] for who in (1, 2, 3)] == [{"test"}, {"val"}, {"train"}]


def test_a_split_list_overrides_the_split_column(requested):
    where = splits(rows_of(requested))
    assert [where[f"id0{who}"] for who in (4, 5)] == [{"test"}, {"train"}]


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory) -> Path:
    """One photo under ada twice and under bob once, and another under bob twice."""
    photos = tmp_path_factory.mktemp("doubtful")
    one_photo_of_two(photos)
    draw(photos, 2, 0, "bob/two.jpg")
    draw(photos, 2, 0, "bob/three.jpg", quality=85)
    draw(photos, 3, 0, "ada/own.jpg")
    draw(photos, 4, 0, "eve/own.jpg")
    return photos


@pytest.mark.parametrize(
    ("flag", "policy"),
    [
        ("--exclude-identities", "quarantine"),
        pytest.param("--include-identities", "keep-majority", marks=pytest.mark.long),
    ],
)
def test_copies_of_an_excluded_identity_s_images_are_dropped_and_are_no_conflict(
    doubtful, tmp_path, flag, policy
):
    who = ["bob"] if flag.startswith("--exclude") else ["ada", "eve"]
    listed = write_names(tmp_path / "names.txt", *who)
    flags = (flag, listed, "--on-conflict", policy, *TRAIN)
    ingest(doubtful, tmp_path / "out", *flags)
    rows = check(tmp_path / "out")
    assert not (tmp_path / "out" / "quarantine").exists()
    outcomes = Counter(row["outcome"] for row in rows.values())
    assert outcomes == {"kept": 2, "dropped": 5}
    for name in ("one", "two"):
        row = rows[f"ada/{name}.jpg"]
        assert row["reason"] == "near duplicate under an identity that is left out"
        assert row["duplicate_of"] == "bob/one.jpg"
    said = "identity is excluded" if who == ["bob"] else "identity is not among those included"
    assert {row["reason"] for key, row in rows.items() if key.startswith("bob/")} == {said}


def test_an_attribute_that_the_source_lacks_is_refused_before_reading(doubtful, tmp_path):
    table = write_manifest(tmp_path, "split", [(draw(tmp_path, 1, 0), "id01", "")])
    for source in (doubtful, table):
        message = refused(source, tmp_path / "out", "--balance", "cap=5@age")
        assert "got age, but they have none; leave @age out" in message
        assert not (tmp_path / "out").exists()

"""`facemill ingest`: which identities and splits the flags choose."""

from collections import Counter
from pathlib import Path

import pytest

from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.recipe import Recipe
from tests.pipelines.ingest.ingesting import exit_code, listing, rows_of, write_names

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def uneven(tmp_path_factory) -> Path:
    """Identities with 1 to 7 images."""
    root = tmp_path_factory.mktemp("uneven")
    recipe = Recipe(identities=12, images_per_identity=7, image_size=32, long_tail=1.0)
    collection.write(str(root), recipe)
    return root / "images"


def _sizes(rows: dict[str, dict], outcome: str | None = None) -> Counter:
    chosen = [row for row in rows.values() if outcome in (None, row["outcome"])]
    return Counter(row["identity"] for row in chosen)


def test_min_and_max_images_balance_the_identities(uneven, tmp_path):
    assert exit_code(uneven, tmp_path / "out", "--min-images", "3", "--max-images", "4") == 0
    rows = rows_of(tmp_path / "out")
    before, kept = _sizes(rows), _sizes(rows, "kept")
    assert min(before.values()) < 3
    assert max(before.values()) > 4
    assert kept == {key: min(count, 4) for key, count in before.items() if count >= 3}
    for row in rows.values():
        if row["outcome"] != "kept":
            assert row["outcome"] == "dropped"
            assert ("fewer than the 3" in row["reason"]) == (before[row["identity"]] < 3)
            assert ("more than the 4" in row["reason"]) == (before[row["identity"]] > 4)


def test_identities_can_be_included_and_excluded(uneven, tmp_path):
    write_names(tmp_path / "include.txt", "id00001", "id00002", "id00003")
    write_names(tmp_path / "exclude.txt", "id00002")
    flags = ["--include-identities", tmp_path / "include.txt", "--split", "train=1"]
    flags += ["--exclude-identities", tmp_path / "exclude.txt"]
    assert exit_code(uneven, tmp_path / "out", *flags) == 0
    rows = rows_of(tmp_path / "out")
    assert set(_sizes(rows, "kept")) == {"id00001", "id00003"}
    reasons = {row["identity"]: row["reason"] for row in rows.values()}
    assert reasons["id00002"] == "identity is excluded"
    assert "included" in reasons["id00004"]
    assert rows.keys() == listing(uneven)


def test_splits_have_their_shares_and_a_new_identity_moves_no_other(uneven, tmp_path):
    flags = ("--split", "train=0.5,val=0.25,test=0.25")
    assert exit_code(uneven, tmp_path / "all", *flags) == 0
    write_names(tmp_path / "exclude.txt", "id00001", "id00005")
    flags += ("--exclude-identities", tmp_path / "exclude.txt")
    assert exit_code(uneven, tmp_path / "fewer", *flags) == 0

    def splits(output: Path) -> dict[str, str]:
        rows = rows_of(output).values()
        return {row["identity"]: row["split"] for row in rows if row["outcome"] == "kept"}

    complete, fewer = splits(tmp_path / "all"), splits(tmp_path / "fewer")
    assert set(complete.values()) == {"train", "val", "test"}
    assert {key: split for key, split in complete.items() if key in fewer} == fewer
    assert len(fewer) == len(complete) - 2

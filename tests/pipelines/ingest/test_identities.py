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


TRAIN_VAL_TEST = ("--split", "train=0.5,val=0.25,test=0.25")


@pytest.fixture(scope="module")
def fewer(uneven, tmp_path_factory) -> Path:
    """The dataset without one identity that is not included, and three that are excluded."""
    root = tmp_path_factory.mktemp("fewer")
    include = (f"id{number:05d}" for number in range(1, 13) if number != 3)
    flags = ("--include-identities", write_names(root / "include.txt", *include))
    exclude = write_names(root / "exclude.txt", "id00001", "id00004", "id00005")
    flags += ("--exclude-identities", exclude)
    assert exit_code(uneven, root / "out", *TRAIN_VAL_TEST, *flags) == 0
    return root / "out"


def test_identities_can_be_included_and_excluded(uneven, fewer):
    rows = rows_of(fewer)
    names = set(_sizes(rows))
    assert set(_sizes(rows, "kept")) == names - {"id00001", "id00003", "id00004", "id00005"}
    reasons = {row["identity"]: row["reason"] for row in rows.values()}
    # Those that both lists name are excluded too.
    assert {reasons[f"id0000{number}"] for number in (1, 4, 5)} == {"identity is excluded"}
    assert "included" in reasons["id00003"]
    assert rows.keys() == listing(uneven)


def test_splits_have_their_shares_and_a_new_identity_moves_no_other(uneven, fewer, tmp_path):
    assert exit_code(uneven, tmp_path / "all", *TRAIN_VAL_TEST) == 0

    def splits(output: Path) -> dict[str, str]:
        rows = rows_of(output).values()
        return {row["identity"]: row["split"] for row in rows if row["outcome"] == "kept"}

    complete, without = splits(tmp_path / "all"), splits(fewer)
    assert set(complete.values()) == {"train", "val", "test"}
    assert {key: split for key, split in complete.items() if key in without} == without
    assert len(without) == len(complete) - 4

"""`facemill score --since`: only what is new or changed is scored, and what has gone is listed."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from facemill.pipelines import cli
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.resize import encode_jpeg
from tests.artifacts import contents
from tests.transforms.scoring import handmade

pytestmark = pytest.mark.slow

PHOTOS = 30
PART = "part-00000-of-00001.parquet"


def draw(path: Path, seed: int) -> None:
    """A photo whose mean color depends on the seed."""
    path.parent.mkdir(exist_ok=True)
    color = np.random.default_rng(seed).integers(40, 200, 3)
    path.write_bytes(encode_jpeg(np.full((20, 20, 3), color, np.uint8)))


def score(input_: Path, model: Path, output: Path, *flags) -> int:
    given = ["score", "--input", input_, "--model", model, "--output", output, "--workers", 1]
    return cli.main([str(word) for word in (*given, *flags)])


def names(output: Path, folder: str = "") -> set[str]:
    paths = sorted((output / folder).glob("part-*.parquet"))
    return {one for path in paths for one in pq.read_table(path)["image_id"].to_pylist()}


def counts(output: Path) -> dict[str, int]:
    return json.loads((output / "manifest.json").read_text())["counts"]


@pytest.fixture(scope="module")
def nights(tmp_path_factory) -> Path:
    """A model, photos, and the embeddings of three nights: `first`, `second` and `third`."""
    root = tmp_path_factory.mktemp("nights")
    (root / "model").mkdir()
    handmade.write_model(root / "model", CropConfig(16, "none"))
    photos = root / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        draw(photos / "a" / f"{number:02d}.jpg", number)
    (photos / "a" / "broken.jpg").write_bytes(b"broken")
    assert score(photos, root / "model", root / "first") == 0

    for number in range(5):
        draw(photos / "b" / f"new{number}.jpg", 100 + number)
    for number in range(3):
        draw(photos / "a" / f"{number:02d}.jpg", 200 + number)
    # Another time and the same content is no change; another content of the same size is one.
    os.utime(photos / "a" / "10.jpg", (1, 1))
    for number in (20, 21):
        (photos / "a" / f"{number}.jpg").unlink()
    assert score(photos, root / "model", root / "second", "--since", root / "first") == 0

    (photos / "a" / "22.jpg").unlink()
    both = ("--since", root / "first", root / "second")
    assert score(photos, root / "model", root / "third", *both) == 0
    return root


def test_new_and_changed_photos_are_scored_and_no_others(nights):
    changed = {f"a/{number:02d}.jpg" for number in range(3)}
    assert names(nights / "second") == changed | {f"b/new{number}.jpg" for number in range(5)}
    assert names(nights / "second", "removed") == {"a/20.jpg", "a/21.jpg"}
    assert counts(nights / "second") == {
        "listed": PHOTOS + 1 + 5 - 2,
        "scored": 8,
        "rejected": 0,
        "ignored": 0,
        "unchanged": PHOTOS - 3 - 2 + 1,
        "removed": 2,
    }


def test_a_photo_is_compared_with_the_newest_embeddings_that_list_it(nights):
    assert names(nights / "third") == set()
    # What had gone before is not told a second time.
    assert names(nights / "third", "removed") == {"a/22.jpg"}
    assert counts(nights / "third")["unchanged"] == PHOTOS + 1 + 5 - 3


def test_the_rows_are_those_of_scoring_everything(nights, tmp_path):
    photos, model = nights / "photos", nights / "model"
    assert score(photos, model, tmp_path / "all") == 0
    rows = {row["image_id"]: row for row in pq.read_table(tmp_path / "all" / PART).to_pylist()}
    for row in pq.read_table(nights / "second" / PART).to_pylist():
        assert rows[row["image_id"]] == row
    given = ("--since", nights / "first", "--since", nights / "second", "--workers", 2)
    assert score(photos, model, tmp_path / "again", *given) == 0
    assert contents(tmp_path / "again") == contents(nights / "third")


def test_embeddings_of_another_model_are_refused(nights, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    handmade.write_model(tmp_path / "other", CropConfig(16, "none"))
    manifest = json.loads((tmp_path / "other" / "manifest.json").read_text())
    (tmp_path / "other" / "manifest.json").write_text(json.dumps(manifest | {"model_id": "other"}))
    first = nights / "first"
    assert score(nights / "photos", tmp_path / "other", tmp_path / "out", "--since", first) == 2
    assert "must be embeddings of the model of this run (other)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

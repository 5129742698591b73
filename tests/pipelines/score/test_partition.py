"""`facemill score --partition`: a directory for each night, replaced whole."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from facemill.pipelines import cli
from facemill.transforms import storage
from facemill.transforms.dataset import artifact
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.resize import encode_jpeg
from tests.transforms.scoring import handmade

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("partition")
    (root / "model").mkdir()
    handmade.write_model(root / "model", CropConfig(16, "none"))
    (root / "photos").mkdir()
    for number in range(3):
        draw(root, number)
    return root


def draw(root: Path, number: int) -> None:
    pixels = np.full((20, 20, 3), (50 + number, 60, 70), np.uint8)
    (root / "photos" / f"{number}.jpg").write_bytes(encode_jpeg(pixels))


def score(root: Path, partition: str, *flags) -> int:
    given = ["score", "--input", root / "photos", "--model", root / "model", "--workers", 1]
    given += ["--output", root / "nights", "--partition", partition, *flags]
    return cli.main([str(word) for word in given])


def ids(night: Path, manifest: dict) -> list[str]:
    artifact.verify_files(str(night), manifest)
    parts = [entry["path"] for entry in manifest["files"]]
    return sorted(
        one for part in parts for one in pq.read_table(night / part)["image_id"].to_pylist()
    )


def test_a_partition_is_replaced_whole(root, capsys):
    night = root / "nights" / "2026-11-25"
    assert score(root, "2026-11-25") == 0
    old = json.loads((night / "manifest.json").read_text())
    assert ids(night, old) == ["0.jpg", "1.jpg", "2.jpg"]
    draw(root, 3)
    assert score(root, "2026-11-25") == 0
    new = json.loads((night / "manifest.json").read_text())
    assert ids(night, new) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    # A reader that began before finds all of the old version.
    assert ids(night, old) == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(pq.read_table(night / "part-00000-of-00001.parquet")) == 4
    with storage.hold(str(night)):
        capsys.readouterr()
        assert score(root, "2026-11-25") == 2
    assert "another facemill run is writing" in capsys.readouterr().err


def test_a_night_takes_up_where_the_one_before_ended(root):
    assert score(root, "1") == 0
    draw(root, 9)
    assert score(root, "2", "--since", root / "nights" / "1") == 0
    night = root / "nights" / "2"
    assert ids(night, json.loads((night / "manifest.json").read_text())) == ["9.jpg"]


def test_the_nights_before_are_found_in_the_directory(root, tmp_path, capsys):
    nights = tmp_path / "nights"
    since = ("--output", nights, "--since", nights)
    draw(root, 20)
    assert score(root, "2026-11-24", *since) == 0
    assert "no partition before 2026-11-24: scoring all photos" in capsys.readouterr().err
    draw(root, 21)
    assert score(root, "2026-11-25", *since) == 0
    night = nights / "2026-11-25"
    first = json.loads((night / "manifest.json").read_text())
    assert ids(night, first) == ["21.jpg"]
    # A night without a new photo is a night all the same; a later one is not looked at.
    assert score(root, "2026-11-26", *since) == 0
    assert score(root, "2026-11-25", *since) == 0
    again = json.loads((night / "manifest.json").read_text())
    assert ids(night, again) == ["21.jpg"]
    assert again["options"] == first["options"]
    assert score(root, "2026-11-27", "--output", nights, "--since", tmp_path / "nobody") == 2
    assert "must" in capsys.readouterr().err
    (root / "photos" / "20.jpg").unlink()
    (root / "photos" / "21.jpg").unlink()


@pytest.mark.parametrize("name", ["", ".hidden", "_a", "a/b", ".."])
def test_a_partition_has_a_plain_name(root, name, capsys):
    assert score(root, name) == 2
    assert "--partition must be a name of letters" in capsys.readouterr().err

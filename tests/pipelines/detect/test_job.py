"""`facemill detect`: faces with boxes and landmarks, and crops that ingest reads."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facemill.pipelines import cli
from facemill.pipelines.score.inputs import read_input
from facemill.pipelines.score.options import ScoreOptions
from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.dataset import artifact
from facemill.transforms.faces.crop import CropConfig
from tests.artifacts import contents
from tests.transforms.scoring import handmade

pytestmark = pytest.mark.slow

PART = "part-00000-of-00001.parquet"


def detect(root: Path, output: str, *flags) -> int:
    given = ["detect", "--input", root / "photos", "--output", root / output]
    return cli.main([str(word) for word in (*given, *flags)])


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Photos of two, one and no faces, and one that is damaged; `faces` and `crops` of them."""
    root = tmp_path_factory.mktemp("detect")
    grey = np.full((200, 320, 3), 128, np.uint8)
    for person in ("ada", "bob"):
        (root / "photos" / person).mkdir(parents=True)
        number = 1 + (person == "bob")
        one = grey.copy()
        one[40:152, 40:152] = render(1, number, 1, 112)
        two = one.copy()
        two[60:140, 220:300] = render(1, number, 2, 80)
        for name, pixels in (("none", grey), ("one", one), ("two", two)):
            Image.fromarray(pixels).save(root / "photos" / person / f"{name}.png")
    (root / "photos" / "ada" / "broken.jpg").write_bytes(b"broken")
    assert detect(root, "faces", "--crops", root / "crops", "--image-size", 64, "--workers", 1) == 0
    return root


def test_each_face_has_a_row(root):
    rows = pq.read_table(root / "faces" / PART).to_pylist()
    assert [row["image_id"] for row in rows] == [
        f"{person}/{face}"
        for person in ("ada", "bob")
        for face in ("one.png#0", "two.png#0", "two.png#1")
    ]
    for row in rows:
        left, top, right, bottom = row["face_box"]
        assert 0 <= left < right <= 320
        assert 0 <= top < bottom <= 200
        assert len(row["face_landmarks"]) in (8, 10)
        assert row["identity"] == row["source"].split("/")[0]
    errors = pq.read_table(root / "faces" / "errors" / PART).to_pylist()
    assert {(row["image_id"], row["reason_code"]) for row in errors} == {
        ("ada/none.png", "no_face"),
        ("bob/none.png", "no_face"),
        ("ada/broken.jpg", "not_an_image"),
    }
    counts = json.loads((root / "faces" / "manifest.json").read_text())["counts"]
    expected = {"listed": 7, "faces": 6, "rejected": 3, "ignored": 0, "photos": 4}
    assert counts == expected


def test_ingest_reads_the_crops(root):
    manifest = artifact.read_manifest(str(root / "crops"), "crops")
    artifact.verify_files(str(root / "crops"), manifest)
    given = ["ingest", "--input", root / "crops", "--output", root / "dataset", "--workers", 1]
    given += ["--align", "none", "--image-size", 64, "--dedup", "off"]
    assert cli.main([str(word) for word in given]) == 0
    counts = json.loads((root / "dataset" / "manifest.json").read_text())["counts"]
    assert (counts["listed"], counts["kept"]) == (6, 6)


def test_score_gives_crops_the_embeddings_of_their_photos(root, capfd):
    for name, config in (
        ("model", CropConfig(64, "detect")),
        ("larger", CropConfig(96, "detect")),
        ("center", CropConfig(64, "center")),
    ):
        (root / name).mkdir()
        handmade.write_model(root / name, config)

    def score(source, model, output, *flags):
        given = ["score", "--input", root / source, "--model", root / model, "--workers", 1]
        return cli.main([str(word) for word in (*given, "--output", root / output, *flags)])

    assert score("photos", "model", "of-photos", "--faces", "all") == 0
    assert score("crops", "model", "of-crops") == 0
    columns = ["image_id", "identity", "embedding"]
    wanted = pq.read_table(root / "of-photos" / PART, columns=columns)
    assert pq.read_table(root / "of-crops" / PART, columns=columns).equals(wanted)
    # A dataset of the crops is made with --align none, and a model of it takes them too.
    options = ScoreOptions(str(root / "crops"), str(root / "whole"), str(root / "out"))
    assert read_input(options, CropConfig(64, "none")).kept == 6
    capfd.readouterr()
    for model, flags, message in (
        ("larger", (), "--image-size 96), but they were made with"),
        ("center", (), "must hold crops that are framed as --model was trained (--align center"),
        ("model", ("--faces", "all"), "--faces all must go with photos, got the crops"),
        ("model", ("--format", "folders"), "--format must go with images, got it with the crops"),
    ):
        assert score("crops", model, "refused", *flags) == 2
        assert message in capfd.readouterr().err


def test_the_bytes_are_the_same_for_any_workers(root):
    flags = ("--crops", root / "crops2", "--image-size", 64, "--workers", 2)
    assert detect(root, "faces2", *flags) == 0
    assert contents(root / "faces2") == contents(root / "faces")
    assert contents(root / "crops2") == contents(root / "crops")


def test_a_complete_output_is_left_alone(root, capsys):
    assert detect(root, "faces", "--crops", root / "crops", "--image-size", 64) == 0
    assert "is already complete" in capsys.readouterr().out
    assert detect(root, "faces", "--crops", root / "other", "--image-size", 64) == 2
    assert "must be written by one run" in capsys.readouterr().err


def test_an_artifact_is_no_input(root, capsys):
    given = ["detect", "--input", root / "faces", "--output", root / "out"]
    assert cli.main([str(word) for word in given]) == 2
    assert "--input must be photos" in capsys.readouterr().err

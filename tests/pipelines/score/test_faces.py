"""`facemill score --faces all`: each face of a photo has a row of its own."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facemill.pipelines import cli
from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.faces.crop import CropConfig
from tests.transforms.scoring import handmade

pytestmark = pytest.mark.slow

PART = "part-00000-of-00001.parquet"


def score(root: Path, output: str, *flags, model: str = "model") -> int:
    given = ["score", "--input", root / "photos", "--model", root / model, "--workers", 1]
    return cli.main([str(word) for word in (*given, "--output", root / output, *flags)])


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """Three photos, of two faces, of one and of none; the embeddings of their faces in `all`."""
    root = tmp_path_factory.mktemp("faces")
    for name, align in (("model", "detect"), ("plain", "center")):
        (root / name).mkdir()
        handmade.write_model(root / name, CropConfig(48, align))
    (root / "photos" / "a").mkdir(parents=True)
    grey = np.full((200, 320, 3), 128, np.uint8)
    one = grey.copy()
    one[40:152, 100:212] = render(1, 1, 1, 112)
    two = grey.copy()
    two[40:152, 40:152] = render(1, 1, 1, 112)
    two[60:140, 220:300] = render(1, 2, 1, 80)
    for name, pixels in (("none", grey), ("one", one), ("two", two)):
        Image.fromarray(pixels).save(root / "photos" / "a" / f"{name}.png")
    assert score(root, "all", "--faces", "all", "--dtype", "int8") == 0
    return root


def test_each_face_has_a_row_the_largest_first(scored):
    rows = {row["image_id"]: row for row in pq.read_table(scored / "all" / PART).to_pylist()}
    assert list(rows) == ["a/one.png#0", "a/two.png#0", "a/two.png#1"]
    large, small = rows["a/two.png#0"], rows["a/two.png#1"]
    assert (large["faces"], small["faces"], rows["a/one.png#0"]["faces"]) == (2, 2, 1)
    assert large["face_box"][0] < 150 < small["face_box"][0]
    for row in rows.values():
        assert row["source"] == row["image_id"].partition("#")[0]
        assert 0.5 <= row["face_score"] <= 1
        points = np.reshape(row["face_landmarks"], (-1, 2))
        left, top, right, bottom = row["face_box"]
        assert ((points >= (left, top)) & (points <= (right, bottom))).all()
        # The left eye is left of the right eye.
        assert points[0, 0] < points[1, 0]
    assert large["sharpness"] != small["sharpness"]


def test_a_photo_without_a_face_is_an_error_of_the_photo(scored):
    (error,) = pq.read_table(scored / "all" / "errors" / PART).to_pylist()
    assert (error["image_id"], error["reason_code"]) == ("a/none.png", "no_face")
    manifest = json.loads((scored / "all" / "manifest.json").read_text())
    assert manifest["counts"] == {
        "listed": 3,
        "scored": 3,
        "rejected": 1,
        "ignored": 0,
        "photos": 2,
    }


def test_errors_are_counted_by_reason_and_the_model_by_its_time(scored):
    manifest = json.loads((scored / "all" / "manifest.json").read_text())
    assert manifest["errors"] == {"no_face": 1}
    run = json.loads((scored / "all" / "run.json").read_text())
    assert run["counters"]["images_scored"] == 3
    assert run["counters"]["failed_no_face"] == 1
    assert run["counters"]["read_ms"] > 0
    assert 0 <= run["model_share"] <= 1


def test_photos_whose_faces_are_known_are_not_scored_again(scored):
    given = ("--faces", "all", "--since", scored / "all")
    assert score(scored, "again", *given) == 0
    manifest = json.loads((scored / "again" / "manifest.json").read_text())
    assert manifest["counts"]["unchanged"] == 3
    assert manifest["counts"]["scored"] == 0


def test_the_largest_face_has_the_embedding_of_scoring_one_face(scored):
    assert score(scored, "largest") == 0
    rows = pq.read_table(scored / "largest" / PART).to_pylist()
    assert [row["image_id"] for row in rows] == ["a/one.png", "a/two.png"]
    faces = {row["image_id"]: row for row in pq.read_table(scored / "all" / PART).to_pylist()}
    for row in rows:
        face = faces[f"{row['image_id']}#0"]
        assert face["face_box"] == row["face_box"]
        numbers = np.array(face["embedding"]) * face["scale"]
        # Half a step of the scale.
        assert np.abs(numbers - row["embedding"]).max() <= face["scale"] / 2 + 1e-6


def test_a_model_without_a_detector_is_refused(scored, capsys):
    assert score(scored, "refused", "--faces", "all", model="plain") == 2
    assert "must go with a model whose faces a detector aligns" in capsys.readouterr().err

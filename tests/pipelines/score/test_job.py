"""`facemill score`: every image has a row, and the same image has the same embedding."""

import os
import shutil
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facemill.pipelines.score.job import build_graph
from facemill.pipelines.score.options import ScoreOptions
from facemill.pipelines.synthesize.faces import broken
from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.writing import Work
from facemill.transforms.faces.crop import NO_FACE, CropConfig
from facemill.transforms.scoring.known import Earlier
from facemill.transforms.scoring.read import Reader
from facemill.transforms.sources.folders import Folders
from tests.artifacts import contents
from tests.commands import facemill
from tests.pipelines.graphs import Graph, check
from tests.pipelines.score.commands import score, sentence
from tests.transforms.scoring import handmade

pytestmark = pytest.mark.slow

SIZE = 16  # of an embedding of the tiny model
REASONS = {
    "id00001/empty.jpg": "empty",
    "id00002/page.jpg": "not an image",
    "id00003/cut.jpg": "truncated",
    "id00004/bomb.png": "pixels",
    "id00005/nowhere.jpg": "leads out of the input",
    "id00006/small.png": "side",
    "id00007/pipe.jpg": "neither a file nor a folder",
}
IGNORED = {".DS_Store", "id00001/notes.txt", "id00002/._1.jpg"}


@pytest.fixture(scope="module")
def photos(tiny_photos, tmp_path_factory) -> Path:
    """The tiny photos with a broken file of every kind, and one without an identity."""
    root = tmp_path_factory.mktemp("score") / "photos"
    shutil.copytree(tiny_photos, root)
    good = (root / "id00001" / "id00001_0001.jpg").read_bytes()
    (root / "id00001" / "empty.jpg").write_bytes(b"")
    (root / "id00002" / "page.jpg").write_bytes(broken.not_an_image())
    (root / "id00003" / "cut.jpg").write_bytes(good[: len(good) // 2])
    (root / "id00004" / "bomb.png").write_bytes(broken.bomb())
    (root / "id00005" / "nowhere.jpg").symlink_to("/does/not/exist.jpg")
    Image.new("RGB", (8, 8)).save(root / "id00006" / "small.png")
    os.mkfifo(root / "id00007" / "pipe.jpg")
    (root / "nobody.jpg").write_bytes(good)
    for name in IGNORED:
        (root / name).write_bytes(b"never an image")
    return root


@pytest.fixture(scope="module")
def embeddings(photos, tiny_model, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("score") / "embeddings"
    command = ("score", "--input", photos, "--model", tiny_model, "--output", output)
    done = facemill(*command, "--workers", 1)
    # The runner, the progress, and no log of Beam's or TensorFlow's.
    assert "WARNING" not in done.stderr, done.stderr
    return output


def rows_of(output: Path) -> dict[str, dict]:
    rows = [
        row for path in sorted(output.glob("part-*")) for row in pq.read_table(path).to_pylist()
    ]
    found = {row["image_id"]: row for row in rows}
    assert len(found) == len(rows), "an image has two rows"
    return found


def test_every_file_has_an_embedding_or_a_reason(photos, embeddings):
    listed = {
        path.relative_to(photos).as_posix() for path in photos.rglob("*") if not path.is_dir()
    }
    scored = rows_of(embeddings)
    errors = {row["image_id"]: row for row in pq.read_table(embeddings / "errors").to_pylist()}
    assert set(errors) == set(REASONS)
    for image_id, message in REASONS.items():
        assert message in errors[image_id]["reason"].lower()
        assert errors[image_id]["source"] == image_id
    assert scored.keys() | errors.keys() | IGNORED == listed
    assert not scored.keys() & errors.keys()
    counts = {"listed": len(listed), "scored": len(scored), "rejected": len(errors), "ignored": 3}
    assert artifact.read_manifest(str(embeddings), "embeddings")["counts"] == counts


def test_embeddings_are_unit_vectors_of_their_model(embeddings, tiny_model):
    manifest = artifact.read_manifest(str(embeddings), "embeddings")
    model = artifact.read_manifest(str(tiny_model), "model")
    assert manifest["model_id"] == model["model_id"]
    assert manifest["embedding_size"] == SIZE
    artifact.verify_files(str(embeddings), manifest)
    rows = rows_of(embeddings)
    assert {row["model_id"] for row in rows.values()} == {model["model_id"]}
    vectors = np.array([row["embedding"] for row in rows.values()])
    assert vectors.shape == (len(rows), SIZE)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    # A model that gives every image the same embedding would pass all of the above.
    assert len(np.unique(vectors.round(4), axis=0)) > 0.9 * len(rows)
    assert rows["nobody.jpg"]["identity"] is None
    assert rows["id00001/id00001_0001.jpg"]["identity"] == "id00001"
    assert rows["nobody.jpg"]["embedding"] == rows["id00001/id00001_0001.jpg"]["embedding"]


def test_another_run_with_other_workers_is_byte_equal(photos, tiny_model, embeddings, tmp_path):
    assert score(photos, tiny_model, tmp_path / "out", "--workers", 2) == 0
    assert contents(tmp_path / "out") == contents(embeddings)


def test_an_image_is_measured_as_ingest_measures_it(tiny_dataset, embeddings):
    rows = rows_of(embeddings)
    compared = 0
    for image in pq.read_table(tiny_dataset / "index").to_pylist():
        if image["image_id"] in rows:
            names = ("sharpness", "brightness", "contrast", "faces", "face_score", "face_box")
            row = rows[image["image_id"]]
            assert [row[name] for name in names] == [image[name] for name in names]
            compared += 1
    assert compared > 80


def test_a_detected_face_has_its_box_and_score(tmp_path):
    (tmp_path / "model").mkdir()
    handmade.write_model(tmp_path / "model", CropConfig(48, "detect"))
    folder = tmp_path / "photos" / "someone"
    folder.mkdir(parents=True)
    face = render(1, 1, 1, 112)
    for name, left in (("left", 30), ("right", 90)):
        pixels = np.pad(face, ((60, 60), (left, 120 - left), (0, 0)), constant_values=128)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    Image.new("RGB", (200, 200), (128, 128, 128)).save(folder / "wall.png")
    assert score(tmp_path / "photos", tmp_path / "model", tmp_path / "out") == 0
    rows = rows_of(tmp_path / "out")
    assert rows.keys() == {"someone/left.png", "someone/right.png"}
    for image_id, start in (("someone/left.png", 30), ("someone/right.png", 90)):
        row = rows[image_id]
        left, top, right, bottom = row["face_box"]
        assert start < left < start + 56 < right < start + 112
        assert 60 < top < 116 < bottom < 172
        assert row["faces"] == 1
        assert 0.5 <= row["face_score"] <= 1
    (failure,) = pq.read_table(tmp_path / "out" / "errors").to_pylist()
    assert (failure["image_id"], failure["reason"]) == ("someone/wall.png", NO_FACE)


def test_a_machine_without_memory_fails_the_run_and_rejects_nothing(tmp_path, capfd):
    (tmp_path / "model").mkdir()
    handmade.write_model(tmp_path / "model", CropConfig(16))
    folder = tmp_path / "photos" / "someone"
    folder.mkdir(parents=True)
    for name, color in (("good", (200, 100, 50)), ("white", handmade.TOO_MUCH_MEMORY)):
        Image.new("RGB", (16, 16), color).save(folder / f"{name}.png")
    assert score(tmp_path / "photos", tmp_path / "model", tmp_path / "out") == 1
    assert "OOM when allocating tensor" in sentence(capfd)
    assert not list((tmp_path / "out").glob("part-*"))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_image_on_which_the_model_fails_is_a_row_and_changes_no_other(tmp_path):
    (tmp_path / "model").mkdir()
    handmade.write_model(tmp_path / "model", CropConfig(16))
    folder = tmp_path / "photos" / "someone"
    folder.mkdir(parents=True)
    Image.new("RGB", (16, 16), (200, 100, 50)).save(folder / "good.png")
    alone = ("--max-rejected", 1)
    assert score(tmp_path / "photos", tmp_path / "model", tmp_path / "alone", *alone) == 0
    Image.new("RGB", (16, 16), handmade.NOT_FINITE).save(folder / "black.png")
    Image.new("RGB", (16, 16), handmade.REFUSED).save(folder / "red.png")
    assert score(tmp_path / "photos", tmp_path / "model", tmp_path / "out", *alone) == 0
    failures = pq.read_table(tmp_path / "out" / "errors").to_pylist()
    assert {row["image_id"]: row["reason_code"] for row in failures} == {
        "someone/black.png": "not_finite",
        "someone/red.png": "model_failed",
    }
    good = [rows_of(tmp_path / name)["someone/good.png"] for name in ("alone", "out")]
    assert good[0] == good[1]


def test_a_dataset_gives_the_same_bits_as_its_photos(
    tiny_dataset, tiny_model, embeddings, tmp_path
):
    assert score(tiny_dataset, tiny_model, tmp_path / "out") == 0
    from_photos, from_dataset = rows_of(embeddings), rows_of(tmp_path / "out")
    index = pq.read_table(tiny_dataset / "index").to_pylist()
    assert from_dataset.keys() == {row["image_id"] for row in index if row["outcome"] == "kept"}
    assert len(from_dataset) > 80
    for image_id, row in from_dataset.items():
        one, other = (
            np.float32(some[image_id]["embedding"]) for some in (from_photos, from_dataset)
        )
        assert one.tobytes() == other.tobytes()
        assert row["identity"] == from_photos[image_id]["identity"]
        assert row["source"].endswith(".tfrecord")
        # Measured after the JPEG, not before.
        brightness = from_photos[image_id]["brightness"]
        assert row["brightness"] == pytest.approx(brightness, abs=1)
    assert not (tmp_path / "out" / "errors").exists()


def test_the_batch_size_changes_no_more_than_rounding(
    tiny_dataset, tiny_model, embeddings, tmp_path
):
    assert score(tiny_dataset, tiny_model, tmp_path / "out", "--batch-size", 7) == 0
    usual = rows_of(embeddings)
    for image_id, row in rows_of(tmp_path / "out").items():
        assert np.allclose(row["embedding"], usual[image_id]["embedding"], atol=1e-5)


def test_a_complete_output_is_not_written_again(photos, tiny_model, embeddings, capfd):
    before = contents(embeddings)
    assert score(photos, tiny_model, embeddings, "--workers", 2) == 0
    assert "already complete" in capfd.readouterr().out
    assert score(photos, tiny_model, embeddings, "--batch-size", 8) == 2
    assert "batch_size: there 32, here 8" in sentence(capfd)
    assert contents(embeddings) == before


def test_a_complete_output_of_other_photos_is_refused(photos, tiny_model, embeddings, capfd):
    path = photos / "zoe" / "1.jpg"
    path.parent.mkdir()
    path.write_bytes(b"new")
    try:
        assert score(photos, tiny_model, embeddings) == 2
    finally:
        shutil.rmtree(path.parent)
    said = sentence(capfd)
    assert f"--input must hold what {embeddings} was made of" in said
    assert "1 new (zoe/1.jpg); score it into another --output" in said


def test_layout_and_root_are_options_of_the_result(
    tiny_photos, tiny_model, embeddings, tmp_path, capfd
):
    options = artifact.read_manifest(str(embeddings), "embeddings")["options"]
    assert (options["format"], options["image_column"]) == ("folders", None)
    assert score(tiny_photos.parent / "images", tiny_model, tmp_path / "a") == 0
    again = (tiny_photos, tiny_model, tmp_path / "a", "--format")
    assert score(*again, "folders") == 0
    assert score(*again, "lfw") == 2
    assert "format: there 'folders', here 'lfw'" in sentence(capfd)
    paths = [path.relative_to(tiny_photos).as_posix() for path in tiny_photos.glob("id00001/*")]
    (tmp_path / "few.csv").write_text("\n".join(["path", *paths]))
    listed = (tmp_path / "few.csv", tiny_model, tmp_path / "b", "--root")
    assert score(*listed, tiny_photos) == 0
    assert score(*listed, tmp_path) == 2
    assert f"root: there '{tiny_photos}', here '{tmp_path}'" in sentence(capfd)


def test_grouped_streams_have_deterministic_coders(tmp_path):
    pipeline = beam.Pipeline(runner="FnApiRunner")
    scratch = str(tmp_path / "scratch")
    build_graph(
        pipeline,
        ScoreOptions("photos", "model", "embeddings"),
        Reader(Folders(str(tmp_path)), CropConfig(32), known="known.npy"),
        ["ada", "bob"],
        str(tmp_path / "model"),
        {"embedding_size": SIZE, "model_id": "tiny"},
        Work(*(str(tmp_path), "embeddings", {}, {}, scratch, OutputFiles(scratch), lambda: None)),
        [Earlier(str(tmp_path / "earlier"), {"files": [{"path": "part.parquet"}]}, False)],
    )
    # The model's results have the type that Beam's RunInference declares; the writers give None.
    pickled = {step for step in check(Graph(pipeline)) if not step.startswith("Model/")}
    assert pickled == {"Receipts/Write"}

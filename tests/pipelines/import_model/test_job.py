"""`facemill import-model`: a foreign file becomes a model that score and the API take."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import facemill
from facemill.pipelines import cli
from facemill.transforms.dataset import artifact
from facemill.transforms.images.decode import decode
from facemill.transforms.images.resize import encode_jpeg, resize_to_square
from tests.artifacts import contents
from tests.model.runtimes import networks

pytestmark = pytest.mark.slow

STANDARD = ("--mean", "127.5", "--scale", "1/128", "--color", "rgb", "--align", "none")


def run(*arguments) -> int:
    return cli.main([str(one) for one in arguments])


def import_model(file, output, *flags) -> int:
    return run("import-model", "--file", file, "--output", output, *flags)


def sentence(capfd) -> str:
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("facemill:")]
    assert len(errors) == 1, errors
    return errors[0]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("files")
    return {
        "onnx": networks.write_onnx(root / "given.onnx", 1),
        "tflite": networks.write_tflite(root / "given.tflite", 2),
        "saved": networks.write_saved_model(root / "given"),
        "keras": networks.write_keras(root / "given.keras"),
    }


@pytest.fixture(scope="module")
def model(files, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("model") / "model"
    assert import_model(files["onnx"], output, *STANDARD) == 0
    return output


FLAGS = {"saved": ("--signature", "faces", "--input-size", networks.SIZE)}


@pytest.mark.parametrize("name", ["onnx", "tflite", "saved", "keras"])
def test_each_format_gives_the_embeddings_of_its_network(files, name, tmp_path, capfd):
    flags = (*STANDARD, *FLAGS.get(name, ()))
    assert import_model(files[name], tmp_path / "model", *flags) == 0
    said = capfd.readouterr().out
    assert "found: embeddings of 5 dimensions" in said
    assert "found: two runs: equal to the bit" in said
    assert "guessed: outputs are divided by their length (--normalize)" in said
    manifest = artifact.read_manifest(str(tmp_path / "model"), "model")
    artifact.verify_files(str(tmp_path / "model"), manifest)
    assert manifest["embedding_size"] == networks.DIMENSIONS
    found = facemill.Model.load(tmp_path / "model")
    assert found.runtime == manifest["runtimes"][0]["kind"]
    pixels = networks.crops(3)
    np.testing.assert_allclose(found(pixels, framed=True), networks.expected(pixels), atol=1e-5)
    assert import_model(files[name], tmp_path / "again", *flags) == 0
    assert contents(tmp_path / "again") == contents(tmp_path / "model")


def test_a_file_that_takes_one_image_only_whatever_it_says_gets_one(tmp_path, capfd):
    file = networks.write_onnx(tmp_path / "odd.onnx", None, reshapes=True)
    assert import_model(file, tmp_path / "model", *STANDARD) == 0
    assert "batch: any, it says, but it fails on more than one image" in capfd.readouterr().out
    pixels = networks.crops(3)
    found = facemill.Model.load(tmp_path / "model")(pixels, framed=True)
    np.testing.assert_allclose(found, networks.expected(pixels), atol=1e-5)


def test_score_takes_it_and_gives_the_same_bytes_for_any_workers(
    tiny_photos, model, tmp_path, capfd
):
    for workers in (1, 2):
        flags = ("--output", tmp_path / str(workers), "--workers", workers)
        assert run("score", "--input", tiny_photos, "--model", model, *flags) == 0
    assert "runtime: onnxruntime (network.onnx)" in capfd.readouterr().err
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    manifest = artifact.read_manifest(str(tmp_path / "1"), "embeddings")
    assert manifest["options"]["runtime"] == "onnxruntime"
    (part,) = (tmp_path / "1").glob("part-*")
    rows = pq.read_table(part).to_pylist()
    assert len(rows) == 96
    for row in rows[:3]:
        photo = decode((tiny_photos / row["image_id"]).read_bytes()).pixels
        crop = decode(encode_jpeg(resize_to_square(photo, networks.SIZE))).pixels
        np.testing.assert_allclose(row["embedding"], networks.expected(crop[None])[0], atol=1e-5)


def test_a_complete_output_is_not_written_again_and_other_flags_are_refused(files, model, capfd):
    before = contents(model)
    assert import_model(files["onnx"], model, *STANDARD) == 0
    assert "already complete" in capfd.readouterr().out
    assert import_model(files["onnx"], model, *STANDARD, "--no-normalize") == 2
    assert "normalize: there None, here False" in sentence(capfd)
    assert contents(model) == before


def test_the_file_may_have_moved(files, model, tmp_path, capfd):
    moved = shutil.copy(files["onnx"], tmp_path / "moved.onnx")
    assert import_model(moved, model, *STANDARD) == 0
    assert "already complete" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--mean must be given, since no file tells it"),
        (("--mean", "a"), "--mean and --scale must be numbers or fractions, got 'a'"),
        ((*STANDARD, "--layout", "nhwc"), "--layout must fit the input 'image'"),
        ((*STANDARD, "--input-size", "112"), "--input-size must be the 16 pixels that the file"),
        ((*STANDARD, "--output-name", "x"), "--output-name must be an output of the file"),
        ((*STANDARD, "--scale", "0"), "--scale must not be 0"),
        ((*STANDARD, "--signature", "x"), "--signature must go with a SavedModel"),
        (("--preset", "unknown"), "--preset: invalid choice: 'unknown'"),
    ],
)
def test_wrong_flags_are_one_sentence_and_leave_no_output(files, tmp_path, capfd, flags, message):
    assert import_model(files["onnx"], tmp_path / "out", *flags) == 2
    assert message in sentence(capfd)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_model_is_one_sentence(tmp_path, capfd):
    assert import_model(tmp_path / "none.onnx", tmp_path / "out") == 2
    assert "--file must be an existing file or SavedModel folder" in sentence(capfd)
    (tmp_path / "weights.pt").write_bytes(b"\x80\x02}q\x00.")
    assert import_model(tmp_path / "weights.pt", tmp_path / "out") == 2
    assert "is a pickle, which can run any program when it is read" in sentence(capfd)
    (tmp_path / "empty").mkdir()
    assert import_model(tmp_path / "empty", tmp_path / "out") == 2
    assert "the folder holds no saved_model.pb" in sentence(capfd)
    assert not (tmp_path / "out").exists()


def test_a_changed_network_is_not_loaded(model, tmp_path):
    copy = Path(shutil.copytree(model, tmp_path / "model"))
    with (copy / "network.onnx").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(facemill.RunError, match="SHA-256 of its manifest"):
        facemill.Model.load(copy)


def test_a_manifest_without_the_network_is_refused(model, tmp_path):
    copy = Path(shutil.copytree(model, tmp_path / "model"))
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"files": []}))
    with pytest.raises(facemill.RunError, match=r"must list network\.onnx"):
        facemill.Model.load(copy)


def test_file_and_output_may_be_on_an_object_store(files, model, root, tmp_path):
    from facemill.transforms import storage

    for name in ("onnx", "saved"):
        given = files[name]
        url = f"{root}/given/{given.name}"
        if given.is_dir():
            storage.upload_folder(str(given), url)
        else:
            storage.write_atomically(url, given.read_bytes())
        output = f"{root}/{name}"
        assert import_model(url, output, *STANDARD, *FLAGS.get(name, ())) == 0
        found = facemill.Model.load(output)
        pixels = networks.crops(3)
        np.testing.assert_allclose(found(pixels, framed=True), networks.expected(pixels), atol=1e-5)
    there = artifact.read_manifest(f"{root}/onnx", "model")
    assert there == artifact.read_manifest(str(model), "model")

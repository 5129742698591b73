import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data import validation_pairs
from facemill.model.metrics import verification
from facemill.pipelines import cli
from facemill.transforms.dataset import artifact
from facemill.transforms.images.resize import resize_to_square
from tests.commands import facemill
from tests.model import tiny
from tests.pipelines.ingest.ingesting import ingest

# Steps that end within an epoch, so that the last pass is a part of one.
FLAGS = (
    "--backbone", "plain", "--head", "arcface", "--embedding-size", 16, "--scale", 16,
    "--batch-size", 10, "--steps", 43, "--learning-rate", 0.02, "--seed", 5,
    "--export", "tflite", "tflite_int8",
)  # fmt: skip


def flags(dataset) -> tuple:
    """The flags of the run, whose further validation set is the dataset itself."""
    return (*FLAGS, "--validate", f"own={dataset}")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny.dataset(tmp_path_factory)


@pytest.fixture(scope="module")
def model(dataset, tmp_path_factory):
    """A model that was trained without an interruption."""
    output = tmp_path_factory.mktemp("train") / "model"
    done = train(dataset, output)
    return output, json.loads((output / "manifest.json").read_bytes()), done


def train(dataset, output, *changes, code: int = 0) -> subprocess.CompletedProcess:
    given = (*flags(dataset), *changes)
    return facemill("train", "--dataset", dataset, "--output", output, *given, code=code)


def sentence(text: str) -> str:
    """The only line that begins with the program's name; it must be the last one."""
    lines = text.strip().splitlines()
    assert [line for line in lines if line.startswith("facemill: ")] == lines[-1:]
    return lines[-1]


@pytest.mark.slow
def test_the_manifest_describes_the_model(model, dataset):
    output, manifest, done = model
    assert artifact.read_manifest(str(output), "model") == manifest
    source = tiny.manifest(dataset)
    train_split = source["splits"]["train"]
    assert manifest["counts"] == {
        "images": train_split["records"],
        "identities": train_split["identities"],
    }
    assert manifest["dataset_fingerprint"] == artifact.fingerprint(source)
    assert manifest["preprocessing"] == {
        "image_size": tiny.SIZE,
        "align": "center",
        "crop_fraction": 1.0,
    }
    assert manifest["embedding_size"] == manifest["recipe"]["embedding_size"] == 16
    assert (manifest["recipe"]["steps"], manifest["recipe"]["seed"]) == (43, 5)
    rest = {"replicas": 1, "dataset_fingerprint": manifest["dataset_fingerprint"]}
    rest["export"] = ["tflite", "saved_model", "tflite_int8"]
    rest["validate"] = {"own": manifest["dataset_fingerprint"]}
    assert manifest["options"] == {**manifest["recipe"], **rest}
    assert len(bytes.fromhex(manifest["model_id"])) == 32
    figures = {"accuracy", "equal_error_rate", "tar_at_fmr_0.1"}
    assert set(manifest["metrics"]) == {"loss"} | figures
    # Nothing that changes from run to run; that is in run.json.
    text = (output / "manifest.json").read_text()
    assert str(output.parent) not in text
    run = json.loads((output / "run.json").read_bytes())
    assert run["runner"] == "MirroredStrategy over 1 x CPU"
    assert run["inputs"] == {"dataset": str(dataset), "validate[own]": str(dataset)}
    assert 0 < run["training_seconds"] <= run["seconds"]
    assert manifest["model_id"][:12] in done.stdout


@pytest.mark.slow
def test_the_manifest_lists_every_file_with_its_digest(model):
    output, manifest, _ = model
    listed = {entry["path"] for entry in manifest["files"]}
    saved = output / "saved_model"
    found = {path.relative_to(output).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert listed == found | {
        "report.html", "trained_identities.bin", "embedder.tflite", "history.csv",
        "embedder_int8.tflite",
    }  # fmt: skip
    artifact.verify_files(str(output), manifest)
    names = {path.name for path in output.iterdir()}
    assert names == {
        "saved_model", "checkpoints", "logs", "report.html", "run.json", "manifest.json",
        "trained_identities.bin", "embedder.tflite", "history.csv",
        "embedder_int8.tflite",
    }  # fmt: skip


@pytest.mark.slow
def test_thresholds_are_those_of_the_exported_model_on_the_val_pairs(model, dataset):
    output, manifest, _ = model
    saved = tf.saved_model.load(str(output / "saved_model"))

    def embed(encoded: list[bytes]) -> np.ndarray:
        found = saved.signatures["serving_default"](image_bytes=tf.constant(encoded))
        return found["embedding"].numpy()

    pairs = validation_pairs.draw(str(dataset), tiny.manifest(dataset), 1000, seed=5)
    vectors = embed(pairs.encoded)
    assert vectors.shape[1] == 16
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    scores = validation_pairs.score(pairs, embed)
    assert manifest["metrics"]["accuracy"] == pytest.approx(scores.metrics["accuracy"], abs=0.03)
    expected = verification.thresholds_at(scores.genuine, scores.impostor, (1e-1, 1e-2, 1e-3))
    # Fewer than 100 impostor pairs say nothing of a rate of 0.01.
    assert list(manifest["thresholds"]) == list(expected) == ["0.1"]
    assert manifest["thresholds"]["0.1"] == pytest.approx(expected["0.1"], abs=1e-4)


@pytest.mark.slow
def test_each_file_is_compared_with_the_network_and_measured(model):
    output, manifest, done = model
    table, paths = manifest["exports"], [one["path"] for one in manifest["files"]]
    assert table["compared_images"] > table["compared_pairs"] / 4 > 0
    names = [entry["format"] for entry in table["formats"]]
    assert names == ["tflite", "saved_model", "tflite_int8"]
    for entry in table["formats"]:
        exact = entry["format"] != "tflite_int8"
        assert entry["exact"] == exact == (entry["largest_difference"] < 1e-4)
        assert entry["least_cosine"] > 0.9
        if exact:
            assert entry["accuracy"] == pytest.approx(table["accuracy"], abs=0.03)
        assert any(path.startswith(entry["file"]) for path in paths)
    # What is not exact comes last, so scoring does not take it by itself.
    files = [one["file"] for one in manifest["runtimes"]]
    assert files == ["embedder.tflite", "saved_model", "embedder_int8.tflite"]
    spent = json.loads((output / "run.json").read_bytes())["cpu_milliseconds_per_image"]
    assert {name: set(of) for name, of in spent.items()} == {key: {"1", "32"} for key in names}
    assert "asks for it" in done.stderr
    assert "--export-format tflite_int8" in (output / "report.html").read_text()


@pytest.mark.slow
def test_further_sets_of_pairs_are_judged_in_each_epoch(model):
    output, manifest, done = model
    val, own = manifest["validation"]
    assert (val["name"], own["name"], own["kind"]) == ("val", "own", "dataset")
    # Its pairs are those of the val split itself.
    for key in ("genuine", "impostor", "accuracy", "accuracy_95", "tar_at_fmr"):
        assert own[key] == val[key]
    assert own["shared_identities"] == 0
    low, high = own["accuracy_95"]
    assert 0 <= low < own["accuracy"] < high <= 1
    lines = (output / "history.csv").read_text().splitlines()
    names = lines[0].split(",")
    last = dict(zip(names, lines[-1].split(","), strict=True))
    assert last["own/accuracy"] == last["accuracy"] != ""
    assert last["own/tar_at_fmr_0.1"] == last["tar_at_fmr_0.1"] != ""
    assert float(last["tar_low"]) <= float(last["tar_at_fmr_0.1"]) <= float(last["tar_high"])
    assert ", own " in done.stderr
    assert "Validation sets" in (output / "report.html").read_text()


@pytest.mark.slow
def test_tensorboard_can_read_the_learning_curves(model):
    output, manifest, _ = model
    files = list((output / "logs").glob("events.out.tfevents.*"))
    assert len(files) == 1
    steps: dict[str, list[int]] = {}
    for payload in tf.data.TFRecordDataset(str(files[0])):
        event = tf.compat.v1.Event.FromString(payload.numpy())
        for value in event.summary.value:
            steps.setdefault(value.tag, []).append(event.step)
    assert steps["loss"] == steps["learning rate"] == list(range(1, 44))
    assert steps["validation accuracy"][-1] == 43
    assert set(steps) >= {"validation equal_error_rate", "validation own/accuracy"}
    report = (output / "report.html").read_text()
    assert report.count("<svg") >= 5
    assert manifest["model_id"][:12] in report


@pytest.mark.slow
def test_a_complete_model_is_not_trained_again_and_other_options_are_refused(
    model, dataset, capsys
):
    output, _, _ = model
    before = (output / "manifest.json").stat().st_mtime_ns
    same = ["train", "--dataset", dataset, "--output", output, *flags(dataset)]
    assert cli.main([str(one) for one in same]) == 0
    assert "already complete" in capsys.readouterr().out
    said = refused(capsys, dataset, output, *flags(dataset), "--margin", 0.3)
    assert "2 facemill: " in said
    assert "made with other options (margin: there 0.5, here 0.3);" in said
    assert (output / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_after_a_kill_the_same_command_ends_in_the_same_model(model, dataset, tmp_path, capsys):
    output = tmp_path / "model"
    command = [sys.executable, "-m", "facemill.pipelines.cli", "train", "--dataset", dataset]
    process = subprocess.Popen(
        [*map(str, (*command, "--output", output, *flags(dataset)))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # TensorFlow names the newest checkpoint in this file once the checkpoint is complete.
        until = time.monotonic() + 100
        while not (output / "checkpoints" / "checkpoint").exists():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (output / "manifest.json").exists()

    photos = Path(dataset).parent / "photos" / "images"
    asked = ("--input", photos, "--model", output, "--output", tmp_path / "embeddings")
    assert cli.main(["score", *map(str, asked)]) == 2
    refused = capsys.readouterr().err
    assert "must be a complete model artifact, but it has no manifest.json" in refused
    assert not (tmp_path / "embeddings").exists()

    done = train(dataset, output)
    assert "going on from step" in done.stderr
    _, expected, _ = model
    manifest = json.loads((output / "manifest.json").read_bytes())
    assert manifest["model_id"] == expected["model_id"]
    for key in ("metrics", "thresholds", "options", "recipe", "validation"):
        assert manifest[key] == expected[key]
    assert (output / "report.html").read_bytes() == (model[0] / "report.html").read_bytes()
    artifact.verify_files(str(output), manifest)
    assert not [path for path in output.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_command_in_one_sentence(dataset, tmp_path):
    wild = ("--learning-rate", 1e6, "--clip-norm", 0, "--head", "softmax", "--cpu-replicas", 2)
    failed = train(dataset, tmp_path / "model", *wild, code=1)
    said = sentence(failed.stderr)
    assert "must be finite" in said
    assert "step" in said
    assert said.endswith(".")
    assert not (tmp_path / "model" / "manifest.json").exists()


@pytest.mark.long
@pytest.mark.slow
def test_a_dataset_of_uncropped_images_gives_a_model_that_resizes_them(dataset, tmp_path):
    photos = dataset.parent / "photos" / "images"
    dataset, output = tmp_path / "dataset", tmp_path / "model"
    rules = ("--align", "none", "--image-size", tiny.SIZE, "--split", "train=0.6,val=0.4")
    ingest(photos, dataset, *rules)
    plain = ("--backbone", "plain", "--embedding-size", 16, "--batch-size", 10, "--steps", 2)
    facemill("train", "--dataset", dataset, "--output", output, *plain, "--export", "saved_model")
    manifest = artifact.read_manifest(str(output), "model")
    assert manifest["preprocessing"]["align"] == "none"
    saved = tf.saved_model.load(str(output / "saved_model"))
    pixels = cv2.cvtColor(cv2.imread(str(next(photos.rglob("*.jpg")))), cv2.COLOR_BGR2RGB)
    # Wider than high: a center crop would show another part of it.
    wide = pixels[:30]
    encoded = cv2.imencode(".png", cv2.cvtColor(wide, cv2.COLOR_RGB2BGR))[1].tobytes()
    served = saved.signatures["serving_default"](image_bytes=tf.constant([encoded]))["embedding"]
    resized = resize_to_square(wide, tiny.SIZE)[np.newaxis]
    expected = saved.signatures["pixels"](pixels=tf.constant(resized))["embedding"]
    # The two libraries' resizing differs by a grey level.
    np.testing.assert_allclose(served, expected, atol=0.02)


@pytest.mark.moderate
def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(dataset, tmp_path, capsys):
    output = tmp_path / "model"
    given = ["train", "--dataset", dataset, "--output", output, *FLAGS, "--dry-run"]
    assert cli.main([str(one) for one in given]) == 0
    said = capsys.readouterr().out
    assert "steps" in said
    assert "43, 10.8 epochs of 4" in said
    assert "plain: " in said
    assert "activations" in said
    assert not output.exists()


def refused(capsys, dataset, output, *flags) -> str:
    """The sentence of a command that ends before TensorFlow does anything."""
    given = ["train", "--dataset", dataset, "--output", output, *flags]
    code = cli.main([str(one) for one in given])
    assert code in (1, 2)
    return f"{code} {sentence(capsys.readouterr().err)}"


@pytest.mark.moderate
def test_wrong_inputs_are_reported_in_one_sentence(dataset, tmp_path, capsys):
    output = tmp_path / "model"
    said = refused(capsys, tmp_path / "nothing", output)
    assert "2 facemill: " in said
    assert "must be a complete dataset artifact" in said
    said = refused(capsys, dataset, output, "--batch-size", 5000)
    assert "2 facemill: --batch-size must be at most the" in said
    assert not output.exists()
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "thesis.txt").write_text("mine")
    assert "thesis.txt" in refused(capsys, dataset, occupied, "--batch-size", 10)
    assert [path.name for path in occupied.iterdir()] == ["thesis.txt"]


@pytest.mark.moderate
def test_a_train_split_of_one_identity_is_refused(dataset, tmp_path, capsys):
    lonely = tmp_path / "lonely"
    shutil.copytree(dataset, lonely)
    described = tiny.manifest(lonely)
    described["splits"]["train"]["identities"] = 1
    (lonely / "manifest.json").write_text(json.dumps(described))
    said = refused(capsys, lonely, tmp_path / "model")
    assert "2 facemill: --dataset must have 2 or more identities to train on, got 1" in said


def test_gpus_share_each_batch_and_exclude_cpu_replicas(dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a", "b", "c"])
    said = refused(capsys, dataset, tmp_path / "model", "--batch-size", 12, "--cpu-replicas", 2)
    assert "2 facemill: --cpu-replicas must be 1 where TensorFlow has GPUs, got 2 beside 3;" in said
    said = refused(capsys, dataset, tmp_path / "model", "--batch-size", 10)
    assert "2 facemill: --batch-size must be a multiple of the GPUs that share it (3), got" in said
    assert not (tmp_path / "model").exists()


def test_a_damaged_dataset_is_refused_before_training(dataset, tmp_path, capsys):
    damaged = tmp_path / "damaged"
    shutil.copytree(dataset, damaged)
    shard = damaged / tiny.manifest(damaged)["splits"]["train"]["shards"][0]
    data = bytearray(shard.read_bytes())
    data[500] ^= 1
    shard.write_bytes(data)
    said = refused(capsys, damaged, tmp_path / "model", "--batch-size", 10)
    assert said.startswith("1 facemill: ")
    assert "must have the SHA-256 of its manifest" in said
    assert not (tmp_path / "model").exists()

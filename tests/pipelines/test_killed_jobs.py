"""SIGKILL at any moment leaves no complete artifact, and the same command then finishes it."""

import json
import os
from pathlib import Path

import pytest

from facemill.pipelines import cli
from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.recipe import Recipe
from tests.artifacts import contents
from tests.commands import facemill
from tests.conftest import TRAINING
from tests.killing import run_until, run_until_renamed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """So many photos that reading them takes a while."""
    root = tmp_path_factory.mktemp("killed")
    plants = {"copy": 20, "conflict": 10, "truncated": 5}
    recipe = Recipe(identities=60, images_per_identity=8, image_size=64, plants=plants)
    collection.write(str(root), recipe, workers=2)
    return root / "images"


def run(*arguments) -> int:
    return cli.main([str(word) for word in arguments])


@pytest.fixture(scope="module")
def complete(photos, tmp_path_factory) -> Path:
    """The dataset of a run that was not killed."""
    output = tmp_path_factory.mktemp("complete") / "dataset"
    assert run("ingest", "--input", photos, "--output", output, "--image-size", 64) == 0
    return output


def refused(capfd, *arguments) -> None:
    capfd.readouterr()
    assert run(*arguments) == 2
    error = capfd.readouterr().err
    assert error.startswith("facemill: ")
    assert error.count("\n") == 1
    assert "the command that writes it" in error


def kill_ingest(moment: str, command: list, output: Path) -> None:
    if moment == "reading":
        run_until(lambda: any(path.is_file() for path in output.glob(".*/*/*")), *command, output)
        assert not any(output.rglob("*.tfrecord*")), "it had read everything: not the moment meant"
    elif moment == "writing":
        run_until(lambda: any(output.glob(".*/**/*.tfrecord*")), *command, output)
        assert not any(output.glob("*.html")), "it was committing: not the moment meant"
    else:
        run_until_renamed("manifest.json", *command, output)
        assert (output / "report.html").exists(), "it was not committing: not the moment meant"


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("reading", marks=pytest.mark.long),
        "writing",
        pytest.param("committing", marks=pytest.mark.long),
    ],
)
def test_a_killed_ingest_is_finished_by_the_same_command(
    photos, complete, tmp_path, tiny_model, capfd, moment
):
    output = tmp_path / "dataset"
    command = ["ingest", "--input", photos, "--image-size", 64, "--output"]
    kill_ingest(moment, command, output)
    assert run("synthesize", "--output", output, "--identities", 2) == 2
    assert "left by an unfinished run of the same command" in capfd.readouterr().err
    assert not (output / "manifest.json").exists()
    assert not contents(output).items() >= contents(complete).items()
    refused(capfd, "train", "--dataset", output, "--output", tmp_path / "model")
    refused(capfd, "score", *("--input", output, "--model", tiny_model, "--output", "x"))
    assert run(*command, output) == 0
    assert contents(output) == contents(complete)
    assert sorted(os.listdir(output)) == sorted(os.listdir(complete))


# In short by tests/pipelines/train/test_job.py, which kills a run at its first checkpoint too.
@pytest.mark.long
def test_a_killed_training_is_finished_by_the_same_command(
    tiny_dataset, tiny_model, tmp_path, tiny_photos, capfd
):
    output = tmp_path / "model"
    command = ["train", "--dataset", tiny_dataset, "--output", output, *TRAINING]
    run_until(lambda: any((output / "checkpoints").glob("*.index")), *command)
    assert not (output / "manifest.json").exists()
    out = tmp_path / "out"
    refused(capfd, "score", "--input", tiny_photos, "--model", output, "--output", out)
    facemill(*command)
    one, other = (json.loads((path / "manifest.json").read_text()) for path in (output, tiny_model))
    assert one["model_id"] == other["model_id"]
    assert one["metrics"] == other["metrics"]
    assert sorted(os.listdir(output)) == sorted(os.listdir(tiny_model))


def test_a_killed_scoring_is_finished_by_the_same_command(photos, tiny_model, tmp_path, capfd):
    command = ["score", "--input", photos, "--model", tiny_model, "--output"]
    scoring, committing = tmp_path / "scoring", tmp_path / "committing"
    run_until(
        lambda: any(path.is_file() for path in scoring.glob(".work-*/**/*")), *command, scoring
    )
    run_until_renamed("manifest.json", *command, committing)
    assert not any(scoring.rglob("part-*")), "it had scored everything: not the moment meant"
    assert any(committing.glob("part-*")), "it was not committing: not the moment meant"
    assert run(*command, tmp_path / "complete") == 0
    (tmp_path / "pairs.txt").write_text("1\t1\n")
    for output in (scoring, committing):
        assert not (output / "manifest.json").exists()
        pairs = ("--pairs", tmp_path / "pairs.txt", "--output", tmp_path / "figures")
        refused(capfd, "evaluate", "--embeddings", output, *pairs)
        assert run(*command, output) == 0
        assert contents(output) == contents(tmp_path / "complete")
        assert sorted(os.listdir(output)) == sorted(os.listdir(tmp_path / "complete"))

"""SIGKILL at random moments of runs that write to a store; the same command then finishes them."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.recipe import Recipe
from facemill.transforms import storage
from tests.artifacts import contents
from tests.commands import facemill
from tests.conftest import TRAINING
from tests.killing import killed_after
from tests.on_stores.copies import contents_of, names_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.usefixtures("store"),
    pytest.mark.parametrize("store", ["s3"], indirect=True, scope="module"),
]

# Drawn anew in each run of the tests; printed, so that a failure can be repeated.
SEED = random.SystemRandom().randrange(1 << 32)


@pytest.fixture(scope="module")
def draws() -> random.Random:
    print(f"seed of the kills: {SEED}")
    return random.Random(SEED)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("killed")
    plants = {"copy": 20, "conflict": 10, "truncated": 5}
    recipe = Recipe(identities=40, images_per_identity=20, image_size=64, plants=plants)
    collection.write(str(root), recipe, workers=2)
    return root / "images"


def seconds_of(command: list) -> float:
    started = time.monotonic()
    facemill(*command, timeout=300)
    return time.monotonic() - started


def kill(draws: random.Random, seconds: float, times: int, *command: object) -> None:
    """Runs a command some times and kills it at moments that are spread over its length.

    A run that ends before its moment comes is none that was killed, so another one is drawn.
    """
    killed = 0
    for _ in range(times * 3):
        # The first second starts Python; nothing is written.
        if killed_after(draws.uniform(1.0, seconds * (killed + 1) / times), *command):
            killed += 1
        else:
            storage.remove(str(command[command.index("--output") + 1]))
        if killed == times:
            return
    raise AssertionError(f"only {killed} of {times} runs could be killed before they ended")


def test_an_ingest_that_was_killed_six_times_gives_the_same_dataset(root, draws, photos, tmp_path):
    command = ["ingest", "--input", photos, "--image-size", 64, "--workers", 2, "--output"]
    seconds = seconds_of([*command, tmp_path / "complete"])
    output = f"{root}/dataset"
    kill(draws, seconds, 6, *command, output)
    assert "manifest.json" not in names_in(output)
    facemill(*command, output)
    assert contents_of(output, tmp_path / "copy") == contents(tmp_path / "complete")
    assert not any(name.startswith(".") for name in names_in(output))


def test_a_scoring_that_was_killed_three_times_gives_the_same_embeddings(
    root, draws, photos, tiny_model, tmp_path
):
    command = ["score", "--input", photos, "--model", tiny_model, "--output"]
    seconds = seconds_of([*command, tmp_path / "complete"])
    output = f"{root}/embeddings"
    kill(draws, seconds, 3, *command, output)
    facemill(*command, output)
    assert contents_of(output, tmp_path / "copy") == contents(tmp_path / "complete")
    assert not any(name.startswith(".") for name in names_in(output))


def test_a_training_that_was_killed_three_times_gives_the_same_model(
    root, draws, tiny_dataset, tiny_model, tmp_path
):
    command = ["train", "--dataset", tiny_dataset, *TRAINING, "--output"]
    output = f"{root}/model"
    kill(draws, 12.0, 3, *command, output)
    facemill(*command, output)
    one = json.loads(storage.read_bytes(f"{output}/manifest.json"))
    other = json.loads((tiny_model / "manifest.json").read_text())
    assert one["model_id"] == other["model_id"]
    assert one["metrics"] == other["metrics"]
    assert not any(name.startswith(".") for name in names_in(output))


def test_a_training_goes_on_from_its_checkpoint_on_another_machine(
    root, tiny_dataset, tiny_model, tmp_path
):
    """Another machine has none of the first one's temporary files."""
    output = f"{root}/model"
    command = ["train", "--dataset", str(tiny_dataset), *TRAINING, "--output", output]
    first = subprocess.Popen(
        [sys.executable, "-m", "facemill.pipelines.cli", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while "checkpoints/checkpoint" not in names_in(output):
            assert first.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait()
    done = facemill(*command, environment={"TMPDIR": str(tmp_path)})
    assert "going on from step" in done.stderr

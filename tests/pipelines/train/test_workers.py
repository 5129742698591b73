"""`facemill train` as two processes of this machine."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data import validation_pairs
from facemill.model.data.vocabulary import Transform
from facemill.model.training.trainer import Data, Trainer
from facemill.pipelines.train.options import TrainOptions
from facemill.pipelines.train.workers import cluster_of
from facemill.transforms.core.errors import UsageError
from tests.model import tiny
from tests.model.training.matrix import PLAIN
from tests.model.training.test_meeting import free_ports

FLAGS = (
    "--backbone", "plain", "--embedding-size", 16, "--scale", 8, "--steps", 20, "--batch-size", 12,
    "--learning-rate", 0.01, "--clip-norm", 2, "--weight-decay", 0.05, "--erase", 0.3,
    "--validation-pairs", 20, "--early-stopping", 9, "--export", "saved_model",
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny.dataset(tmp_path_factory)


def hosts() -> str:
    return ",".join(f"localhost:{port}" for port in free_ports(2))


def start(dataset, output, where: str, index: int, *flags, by_environment: bool = False):
    """A worker; it writes to files, since nobody reads a pipe while another one is waited for."""
    environment = dict(os.environ)
    if by_environment:
        task = {"type": "worker", "index": index}
        value = {"cluster": {"worker": where.split(",")}, "task": task}
        environment["TF_CONFIG"] = json.dumps(value)
    else:
        flags = (*flags, "--worker-hosts", where, "--worker-index", index)
    command = ("-m", "facemill.pipelines.cli", "train", "--dataset", dataset, "--output", output)
    log = Path(f"{output}-{index}.log")
    with open(log, "w") as stream:
        process = subprocess.Popen(
            [sys.executable, *map(str, (*command, *FLAGS, *flags))],
            stdout=stream,
            stderr=stream,
            env=environment,
        )
    return process, log


def finish(started, code: int) -> str:
    process, log = started
    try:
        process.wait(timeout=240)
    finally:
        process.kill()
    text = log.read_text()
    assert process.returncode == code, text
    assert "Traceback" not in text, text
    return text


def history(output: Path) -> list[dict]:
    with open(output / "history.csv", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_two_workers_write_the_model_of_one_process(dataset, tmp_path):
    output, nowhere = tmp_path / "model", tmp_path / "nowhere" / "model"
    nowhere.parent.mkdir()
    where = hosts()
    workers = [
        start(dataset, output, where, 0),
        # It does not see the output, and finds the others by its environment.
        start(dataset, nowhere, where, 1, by_environment=True),
    ]
    said = finish(workers[0], 0), finish(workers[1], 0)
    assert "epoch 1/" in said[0]
    assert "epoch 1/" not in said[1]
    assert not nowhere.exists()
    run = json.loads((output / "run.json").read_bytes())
    assert run["runner"] == "MultiWorkerMirroredStrategy over 2 workers with 1 x CPU each"
    manifest = tiny.manifest(output)
    assert manifest["options"]["replicas"] == 2
    assert set(manifest["metrics"]) == {"loss", "accuracy", "equal_error_rate", "tar_at_fmr_0.1"}

    # The recipe that the flags describe, on one replica.
    source = tiny.manifest(dataset)
    pairs = validation_pairs.draw(str(dataset), source, 20, PLAIN.seed)
    one = Trainer(
        Data(str(dataset), source, Transform(str(dataset), source), pairs),
        dataclasses.replace(PLAIN, early_stopping=9),
        _seeded(tf.distribute.MirroredStrategy(["/cpu:0"])),
        str(tmp_path / "one"),
        str(tmp_path / "one"),
    )
    one.run()
    rows = history(output)
    np.testing.assert_allclose([float(row["loss"]) for row in rows], one.history.losses, rtol=1e-5)
    pixels = np.random.default_rng(0).integers(0, 256, (4, tiny.SIZE, tiny.SIZE, 3), np.uint8)
    saved = tf.saved_model.load(str(output / "saved_model"))
    found = saved.signatures["pixels"](pixels=tf.constant(pixels))["embedding"]
    np.testing.assert_allclose(found, one.exported.embed(pixels), atol=1e-5)


def _seeded(strategy):
    keras.utils.set_random_seed(PLAIN.seed)
    return strategy


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("dead", [0, 1])
def test_after_a_kill_the_same_commands_end_in_the_same_model(dataset, tmp_path, dead):
    straight, output = tmp_path / "straight", tmp_path / "model"
    where = hosts()
    workers = [start(dataset, straight, where, index) for index in (0, 1)]
    for one in workers:
        finish(one, 0)

    where = hosts()
    workers = [start(dataset, output, where, index) for index in (0, 1)]
    until = time.monotonic() + 200
    while not (output / "checkpoints" / "checkpoint").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    killed = time.monotonic()
    workers[dead][0].kill()
    said = finish(workers[1 - dead], 1)
    assert time.monotonic() - killed < 60
    host = where.split(",")[dead]
    (sentence,) = [line for line in said.splitlines() if line.startswith("facemill: ")]
    assert f"stay until the end, but worker {dead} ({host}) has gone; start" in sentence
    assert not (output / "manifest.json").exists()
    workers[dead][0].wait()

    workers = [start(dataset, output, where, index) for index in (0, 1)]
    for one in workers:
        assert "going on from step" in finish(one, 0)
    assert history(output) == history(straight)
    assert tiny.manifest(output)["model_id"] == tiny.manifest(straight)["model_id"]


def test_flags_come_before_the_environment(monkeypatch):
    options = TrainOptions("d", "o", worker_hosts=("a:1", "b:2"), worker_index=1)
    task = {"type": "worker", "index": 0}
    value = {"cluster": {"worker": ["c:1", "d:2"]}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(value))
    assert cluster_of(options).hosts == ("a:1", "b:2")
    assert cluster_of(TrainOptions("d", "o")).hosts == ("c:1", "d:2")
    alone = TrainOptions("d", "o", worker_hosts=("a:1",), worker_index=0)
    assert cluster_of(alone) is None
    monkeypatch.setenv("TF_CONFIG", "x")
    with pytest.raises(UsageError, match="TF_CONFIG must be JSON"):
        cluster_of(TrainOptions("d", "o"))
    monkeypatch.delenv("TF_CONFIG")
    assert cluster_of(TrainOptions("d", "o")) is None

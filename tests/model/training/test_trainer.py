import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data import tfdata, validation_pairs
from facemill.model.data.vocabulary import Transform
from facemill.model.networks import registry as networks
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.strategy import count_replicas, replicas
from facemill.model.training.trainer import Data
from facemill.transforms.core.errors import RunError
from tests.model import tiny
from tests.model.training.one_step import ONE_STEP, one_step, weights_of
from tests.model.training_runs import EVERY_STATE, RESUMED, small


def run(*arguments) -> str:
    """What a process of training runs printed."""
    command = [sys.executable, "-m", "tests.model.training_runs", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(dataset, tmp_path_factory):
    """What one process printed, and the folder with its results."""
    folder = tmp_path_factory.mktemp("runs")
    return run(dataset, folder, "replicas", EVERY_STATE), folder


@pytest.mark.slow
def test_two_replicas_end_with_the_losses_and_weights_of_one(runs):
    _, folder = runs
    one, two, parts = (np.load(folder / f"{name}.npz") for name in ("one", "two", "parts"))
    assert len(one["losses"]) == 20
    assert one["losses"][-1] < one["losses"][0]

    def assert_equal(found, expected, names):
        for name in names:
            np.testing.assert_allclose(
                found[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name
            )

    assert_equal(two, one, one.files)
    # The parts of a batch learn what the batch learns; the last weights are those of the average.
    averaged = len(parts.files) // 2 - 1
    trained = [name for name in parts.files if name == "losses" or int(name[-3:]) < averaged]
    assert_equal(parts, one, trained)


def assert_resumed(out: str, folder: Path, name: str) -> None:
    # The run stopped after its eighth step, with a checkpoint of the sixth.
    assert out.count("stopped after step 8") == 1
    straight, resumed = (np.load(folder / name / f"{kind}.npz") for kind in ("straight", "resumed"))
    assert len(straight["losses"]) == 9
    for key in straight.files:
        np.testing.assert_array_equal(resumed[key], straight[key], err_msg=f"{name} {key}")


@pytest.mark.slow
def test_a_run_resumed_in_the_middle_of_an_epoch_ends_in_the_same_bits(runs, dataset):
    # The checkpoint may not be the end of an epoch.
    assert 6 % tfdata.steps_per_epoch(tiny.manifest(dataset), 12)
    assert_resumed(*runs, EVERY_STATE)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RESUMED if name != EVERY_STATE])
def test_other_networks_and_optimizers_are_resumed_in_the_same_bits(dataset, tmp_path, name):
    assert_resumed(run(dataset, tmp_path, name), tmp_path, name)


@pytest.mark.moderate
def test_a_step_is_the_gradient_of_the_mean_loss_times_the_rate(
    trainer, dataset, manifest, transform
):
    trained = trainer(ONE_STEP)
    ((pixels, labels, _), *_) = tfdata.batches(str(dataset), manifest, transform, ONE_STEP, epoch=0)
    variables = trained._variables
    with tf.GradientTape() as tape:
        standardized = (pixels - transform.pixel_mean) / transform.pixel_std
        logits = trained._head(trained.embedder.network(standardized, training=True), labels)
        chosen = tf.gather(tf.nn.log_softmax(logits), labels, batch_dims=1)
        loss = -tf.reduce_mean(chosen)
    gradients = tape.gradient(loss, [one.value for one in variables])
    before, after = one_step(trained)
    assert trained.history.losses == pytest.approx([float(loss)], rel=1e-5)
    assert trained.history.rates == pytest.approx([0.01])
    for name, gradient in zip(before, gradients, strict=True):
        expected = before[name] - 0.01 * gradient.numpy()
        np.testing.assert_allclose(after[name], expected, atol=1e-6)


@pytest.fixture(scope="module")
def weigh(dataset, tmp_path_factory):
    """Builds copies of the dataset with the weight `weight(index)` in each record."""

    def build(weight) -> Data:
        def change(index: int, record: tf.train.Example) -> None:
            record.features.feature["weight"].float_list.value.append(weight(index))

        path = tiny.resharded(dataset, tmp_path_factory.mktemp("weighted") / "dataset", 1, change)
        described = tiny.manifest(path)
        rule = {"kind": "effective-number", "amount": 0.9, "column": None}
        described["options"]["balance"] = [rule]
        return Data(str(path), described, Transform(str(path), described), None)

    return build


@pytest.mark.slow
def test_weights_multiply_each_images_part_of_the_gradient(trainer, weigh):
    data = weigh(lambda index: 0.25 + (index % 5) / 2)
    trained = trainer(ONE_STEP, data=data)
    ((pixels, labels, weights), *_) = tfdata.batches(
        data.path, data.manifest, data.transform, ONE_STEP, epoch=0
    )
    assert len(set(weights.numpy())) > 1
    variables = trained._variables
    total = [np.zeros(one.shape, np.float32) for one in variables]
    loss = 0.0
    # One image at a time, because neither head nor network mixes images.
    for pixel, label, weight in zip(pixels, labels, weights, strict=True):
        with tf.GradientTape() as tape:
            logits = trained._head(
                trained.embedder.raw(pixel[tf.newaxis], training=True), label[tf.newaxis]
            )
            part = -tf.nn.log_softmax(logits)[0, label]
        gradients = tape.gradient(part, [one.value for one in variables])
        share = float(weight) / ONE_STEP.batch_size
        loss += share * float(part)
        total = [sum_ + share * one.numpy() for sum_, one in zip(total, gradients, strict=True)]
    before, after = one_step(trained)
    assert trained.history.losses == pytest.approx([loss], rel=1e-5)
    for name, gradient in zip(before, total, strict=True):
        np.testing.assert_allclose(after[name], before[name] - 0.01 * gradient, atol=1e-6)


@pytest.mark.slow
def test_weights_of_1_and_no_weights_learn_the_same_bits(trainer, dataset, weigh, tmp_path):
    recipe = dataclasses.replace(ONE_STEP, steps=3)
    data = weigh(lambda place: 1.0)
    plain = tiny.resharded(dataset, tmp_path / "plain", 1)
    without_weights = Data(str(plain), tiny.manifest(plain), data.transform, None)
    weighted, unweighted = (trainer(recipe, data=one) for one in (data, without_weights))
    for trained in (weighted, unweighted):
        trained.run()
    assert weighted.history.losses == unweighted.history.losses
    theirs = weights_of(unweighted)
    for name, value in weights_of(weighted).items():
        np.testing.assert_array_equal(value, theirs[name])


@pytest.mark.moderate
def test_a_missing_weight_is_reported_in_a_sentence(trainer, dataset, weigh):
    data = weigh(lambda place: 1.0)
    described = {**data.manifest, "splits": tiny.manifest(dataset)["splits"]}
    without_weights = Data(str(dataset), described, data.transform, None)
    with pytest.raises(RunError, match=r"Every record of .*weight.*ingest again\.$"):
        trainer(ONE_STEP, data=without_weights).run()


@pytest.mark.moderate
def test_the_gradient_is_clipped_by_its_global_norm(trainer):
    def moved(clip_norm: float) -> np.ndarray:
        before, after = one_step(trainer(dataclasses.replace(ONE_STEP, clip_norm=clip_norm)))
        return np.concatenate([(before[name] - after[name]).ravel() for name in before]) / 0.01

    free, clipped, loose = moved(0.0), moved(0.25), moved(1e5)
    assert np.linalg.norm(free) > 0.5
    assert np.linalg.norm(clipped) == pytest.approx(0.25, rel=1e-3)
    np.testing.assert_allclose(clipped, free * 0.25 / np.linalg.norm(free), atol=1e-4)
    np.testing.assert_allclose(loose, free, atol=1e-4)


@pytest.mark.moderate
@pytest.mark.parametrize(
    ("network", "optimizer"),
    [
        pytest.param("plain", "sgd", marks=pytest.mark.long),
        ("plain", "adam"),
        ("small", "sgd"),
    ],
)
def test_only_kernels_decay(trainer, monkeypatch, network, optimizer):
    recipe = dataclasses.replace(ONE_STEP, optimizer=optimizer, network="plain", head="softmax")
    if network == "small":
        monkeypatch.setattr(networks, "build", small)
    before, without = one_step(trainer(recipe))
    _, decayed = one_step(trainer(dataclasses.replace(recipe, weight_decay=0.5)))
    kinds = {name: name.split()[-1] for name in before}
    expected = {"kernel", "bias"}
    if network == "small":
        expected |= {"alpha", "gamma", "beta"}
    assert set(kinds.values()) == expected
    for name, kind in kinds.items():
        # Decoupled: a share of the weight itself, whatever the gradient and its moments are.
        lost = 0.01 * 0.5 * before[name] if kind == "kernel" else 0
        np.testing.assert_allclose(without[name] - decayed[name], lost, atol=2e-6, err_msg=name)
        if kind == "kernel":
            assert np.abs(lost).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [pytest.param("sgd", marks=pytest.mark.long), "adam"])
def test_both_optimizers_follow_the_schedule_and_learn(trainer, manifest, optimizer):
    recipe = Recipe(
        network="plain", head="softmax", embedding_size=32, epochs=6, batch_size=10,
        optimizer=optimizer, learning_rate={"sgd": 0.02, "adam": 1e-3}[optimizer],
        weight_decay=0.0, crop=0.0, color_jitter=0.0,
    )  # fmt: skip
    trained = trainer(recipe)
    trained.run()
    per_epoch = tfdata.steps_per_epoch(manifest, 10)
    rates, peak = trained.history.rates, recipe.learning_rate
    assert trained.step == len(trained.history.losses) == len(rates) == 6 * per_epoch
    assert rates[0] == pytest.approx(peak / per_epoch)
    assert rates[per_epoch - 1] == pytest.approx(peak)
    last = 0.5 * (1 + math.cos(math.pi * (5 * per_epoch - 1) / (5 * per_epoch)))
    assert rates[-1] == pytest.approx(peak * last, rel=1e-3)
    losses = trained.history.losses
    assert np.mean(losses[-per_epoch:]) < 0.7 * np.mean(losses[:per_epoch])


@pytest.mark.moderate
def test_momentum_is_nesterovs(trainer):
    trained = trainer(dataclasses.replace(ONE_STEP, momentum=0.9))
    before, after = one_step(trained)
    plain_before, plain_after = one_step(trainer(ONE_STEP))
    for name in before:
        # The first Nesterov step is (1 + momentum) times the plain one.
        np.testing.assert_allclose(
            before[name] - after[name], 1.9 * (plain_before[name] - plain_after[name]), atol=1e-6
        )


@pytest.mark.moderate
def test_the_number_of_steps_is_exact_and_may_end_within_an_epoch(trainer, manifest):
    per_epoch = tfdata.steps_per_epoch(manifest, 10)
    for steps in (per_epoch - 1, per_epoch, per_epoch + 1):
        trained = trainer(dataclasses.replace(ONE_STEP, steps=steps))
        trained.run()
        assert trained.step == len(trained.history.losses) == steps
    # A finished run has nothing left to do.
    again = trainer(dataclasses.replace(ONE_STEP, steps=steps), folder=trained._folder)
    again.run()
    assert again.history.losses == trained.history.losses


@pytest.mark.moderate
def test_validation_is_recorded_at_the_end_of_each_epoch(trainer, dataset, manifest):
    per_epoch = tfdata.steps_per_epoch(manifest, 10)
    pairs = validation_pairs.draw(str(dataset), manifest, 20, seed=1)
    recipe = dataclasses.replace(ONE_STEP, steps=None, epochs=2)
    trained = trainer(recipe, pairs)
    scores = trained.run()
    assert len(scores.genuine) == len(scores.impostor) == len(pairs.genuine)
    rows = trained.history.validation
    assert [row["step"] for row in rows] == [per_epoch, 2 * per_epoch]
    assert rows[-1].items() >= {"step": 2 * per_epoch, **scores.metrics}.items()
    # The scores are those of the trained weights.
    vectors = trained.embed(pairs.encoded)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    left, right = (vectors[pairs.genuine[:, side]].astype(np.float64) for side in (0, 1))
    np.testing.assert_allclose(scores.genuine, np.sum(left * right, axis=1), atol=1e-5)
    # A finished run that is asked again validates the restored weights: the same scores.
    again = trainer(recipe, pairs, folder=trained._folder).run()
    np.testing.assert_array_equal(again.genuine, scores.genuine)


@pytest.mark.parametrize(
    ("gpus", "requested", "count"), [(0, 1, 1), (0, 2, 2), (1, 1, 1), (3, 1, 3)]
)
def test_all_gpus_share_a_batch_or_else_logical_cpu_devices(monkeypatch, gpus, requested, count):
    devices = {"GPU": ["gpu"] * gpus, "CPU": ["cpu"]}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: devices[kind])
    assert count_replicas(requested, 12) == count


def test_replicas_cannot_be_set_once_tensorflow_runs(strategy):
    with pytest.raises(RunError, match="`cpu_replicas` must be set before TensorFlow starts"):
        replicas(2)

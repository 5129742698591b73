"""What stops a training run."""

import dataclasses

import pytest
import tensorflow as tf

from facemill.model.data import validation_pairs
from facemill.model.training.trainer import Data
from facemill.transforms.core.errors import RunError
from tests.model import tiny
from tests.model.training.one_step import ONE_STEP


@pytest.mark.moderate
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_its_step(trainer, manifest, bad, tmp_path):
    trained = trainer(dataclasses.replace(ONE_STEP, steps=4))
    step, calls = trained._train, []

    def spoiled(*batch):
        calls.append(step(*batch))
        loss, norms = calls[-1]
        return (tf.constant(bad) if len(calls) == 3 else loss), norms

    trained._train = spoiled
    with pytest.raises(RunError, match=rf"loss must be finite, but it is {bad} at step 3;"):
        trained.run()
    # No checkpoint of the bad step is written.
    assert not list(tmp_path.rglob("ckpt-*"))


@pytest.mark.moderate
def test_a_learning_rate_that_is_far_too_high_stops_the_run(trainer):
    recipe = dataclasses.replace(ONE_STEP, head="softmax", steps=30, learning_rate=1e6)
    with pytest.raises(RunError, match=r"(loss must be finite|weights must be finite).*step \d"):
        trainer(recipe).run()


@pytest.mark.moderate
def test_weights_made_not_finite_by_the_last_step_stop_the_run(trainer, tmp_path):
    trained = trainer(dataclasses.replace(ONE_STEP, steps=2))
    step = trained._train

    def spoiled(*batch):
        found = step(*batch)
        if trained.step == 2:
            kernel = trained._variables[0]
            kernel.assign(tf.fill(kernel.shape, float("nan")))
        return found

    trained._train = spoiled
    with pytest.raises(RunError, match="weights must be finite, but after step 2 they are not"):
        trained.run()
    assert not list(tmp_path.rglob("ckpt-*"))


@pytest.mark.moderate
def test_embeddings_of_length_zero_stop_the_run(trainer, dataset, manifest):
    pairs = validation_pairs.draw(str(dataset), manifest, 5, seed=1)
    trained = trainer(ONE_STEP, pairs)
    step = trained._train

    def zeroed(*batch):
        found = step(*batch)
        for variable in trained.embedder.network.trainable_variables[-2:]:
            variable.assign(tf.zeros(variable.shape))
        return found

    trained._train = zeroed
    with pytest.raises(RunError, match="must embed every image of validation, but after step 1"):
        trained.run()


@pytest.mark.moderate
def test_an_image_of_validation_that_cannot_be_decoded_stops_the_run(trainer, dataset, manifest):
    pairs = validation_pairs.draw(str(dataset), manifest, 5, seed=1)
    damaged = dataclasses.replace(pairs, encoded=[b"no image", *pairs.encoded[1:]])
    with pytest.raises(RunError, match=r"^Every image of validation must be a JPEG .*; ingest aga"):
        trainer(ONE_STEP, damaged).run()


def change_identity(index: int, record: tf.train.Example) -> None:
    if index == 25:
        record.features.feature["identity"].bytes_list.value[0] = b"a stranger"


def cut_image_off(index: int, record: tf.train.Example) -> None:
    if index == 25:
        encoded = record.features.feature["image/encoded"].bytes_list.value
        encoded[0] = encoded[0][:40]


@pytest.mark.moderate
@pytest.mark.parametrize("change", [change_identity, cut_image_off])
@pytest.mark.parametrize("head", ["softmax", "arcface"])
def test_an_unknown_identity_or_damaged_image_is_reported_in_a_sentence(
    trainer, dataset, transform, tmp_path, change, head
):
    damaged = tiny.resharded(dataset, tmp_path / "damaged", 1, change)
    data = Data(str(damaged), tiny.manifest(damaged), transform, None)
    recipe = dataclasses.replace(ONE_STEP, steps=None, epochs=1, batch_size=6, head=head)
    with pytest.raises(RunError, match=r"must be an image of a known identity.*ingest again\.$"):
        trainer(recipe, data=data).run()


@pytest.mark.moderate
@pytest.mark.parametrize("name", ["history-2.json", "ckpt-2.index", "ckpt-2.data-00000-of-00001"])
def test_a_damaged_checkpoint_is_reported_in_a_sentence(trainer, tmp_path, name):
    recipe = dataclasses.replace(ONE_STEP, steps=2)
    trainer(recipe, folder=tmp_path / "run").run()
    path = tmp_path / "run" / name
    path.write_bytes(b"[]" if path.suffix == ".json" else path.read_bytes()[:20])
    with pytest.raises(RunError, match=r"must be undamaged, but none.*`restart`"):
        trainer(recipe, folder=tmp_path / "run").run()

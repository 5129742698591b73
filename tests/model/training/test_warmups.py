import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.data import tfdata
from facemill.model.heads import registry
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import trainer as training
from facemill.model.training.trainer import Trainer
from facemill.model.training.warmups import Warmups, rising
from facemill.transforms.core.errors import ParameterError
from tests.model.training.one_step import ONE_STEP


@given(st.integers(1, 500), st.floats(0, 0.999))
def test_a_share_rises_by_equal_parts_to_exactly_1(steps, start):
    shares = [float(rising(done, steps, start)) for done in (0, steps // 2, steps - 1, steps + 3)]
    assert shares[0] == pytest.approx(start + (1 - start) / steps, abs=1e-6)
    assert shares[1] == pytest.approx(start + (1 - start) * min(1, (steps // 2 + 1) / steps))
    assert shares[2:] == [1.0, 1.0]


def built(head: str, classes: int = 1000, **options):
    recipe = Recipe(head=head, **options)
    found = registry.build(recipe, classes)
    found.build((None, 8))
    return found, recipe


def test_the_scale_rises_from_the_fixed_scale_of_adacos():
    head, recipe = built("cosface", scale=32.0, scale_warmup_epochs=2.0)
    warmups = Warmups(head, recipe, epoch_steps=5)
    lowest = np.sqrt(2) * np.log(999)
    embeddings = tf.constant(np.random.default_rng(1).normal(size=(3, 8)), tf.float32)
    full = head(embeddings, tf.constant([1, 2, 3]))
    for done, share in ((0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0)):
        warmups.assign(tf.constant(done, tf.int64))
        scale = lowest + share * (32.0 - lowest)
        logits = head(embeddings, tf.constant([1, 2, 3]))
        np.testing.assert_allclose(logits, full * scale / 32.0, rtol=1e-5)
    # Of a warm-up that is over, or never was, nothing is left.
    np.testing.assert_array_equal(logits, full)
    assert float(head.margin_share) == 1.0


@pytest.mark.parametrize(
    ("head", "options", "said"),
    [
        ("softmax", {"margin_warmup_epochs": 1.0}, "`margin_warmup_epochs` must be 0 for the head"),
        ("triplet", {"scale_warmup_epochs": 1.0}, "`scale_warmup_epochs` must be 0 for the head"),
        (
            "arcface",
            {"scale_warmup_epochs": 1.0, "scale": 9.0},
            r"must be 0 where `scale` \(9\) is not above .*; leave it out or raise `scale`\.$",
        ),
    ],
)
def test_a_head_that_has_nothing_to_raise_is_refused(head, options, said):
    with pytest.raises(ParameterError, match=said):
        Warmups(*built(head, **options), 5)


@pytest.mark.moderate
def test_in_training_both_reach_1_at_the_end_of_their_warm_ups(trainer, manifest, monkeypatch):
    monkeypatch.setattr(training, "_CHECK_EVERY", 1)
    epoch = tfdata.steps_per_epoch(manifest, 10)
    recipe = dataclasses.replace(
        ONE_STEP, steps=epoch + 1, margin_warmup_epochs=1.0, scale_warmup_epochs=0.5
    )
    trained = trainer(recipe)
    head = trained._head
    both = (head.margin_share, head.scale_share)
    shares = [[float(one.numpy()) for one in both] for _ in trained.groups()]
    margins, scales = zip(*shares, strict=True)
    half = round(0.5 * epoch)
    assert margins == pytest.approx([min(1, (step + 1) / epoch) for step in range(epoch + 1)])
    assert scales[half - 2] < scales[half - 1] == scales[-1] == margins[-1] == 1.0


def test_adaface_with_parts_of_batches_is_refused_for_several_replicas():
    recipe = dataclasses.replace(ONE_STEP, head="adaface", accumulate=2)
    two = SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(ParameterError, match=r"^`accumulate` must be 1 with the head adaface and"):
        Trainer(None, recipe, two, "", "")
    for head, parts, replicas in (("adaface", 2, 1), ("adaface", 1, 2), ("arcface", 2, 2)):
        registry.check_replicas(Recipe(head=head, accumulate=parts), replicas)

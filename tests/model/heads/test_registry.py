import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.heads import registry
from facemill.model.recipes.choices import CLASSIFIERS, HEADS, SAMPLED
from facemill.model.recipes.recipe import Recipe

SCALE = 16.0


def built(name, classes=6, **options):
    keras.utils.set_random_seed(1)
    head = registry.build(Recipe(head=name, scale=SCALE, **options), classes)
    head.build((None, 8))
    return head


@pytest.mark.parametrize("name", HEADS)
def test_every_name_is_a_head_with_weights_from_the_seed(name):
    head, again = built(name), built(name)
    embeddings = tf.random.stateless_normal([5, 8], (1, 2))
    losses = head.losses(embeddings, tf.constant([0, 1, 2, 0, 5]))
    assert (losses.shape, losses.dtype) == ((5,), tf.float32)
    for one, other in zip(head.trainable_variables, again.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)
    shapes = [one.shape for one in head.trainable_variables if one.path.endswith("kernel")]
    columns = {"subcenter": 18, "siamese": 1}.get(name, 6)
    assert shapes == ([] if name == "triplet" else [(8, columns)])


@pytest.mark.parametrize("name", SAMPLED)
def test_centers_to_sample_are_rows_that_do_not_decay_as_kernels(name):
    (centers,) = built(name, sample_identities=0.5).trainable_variables
    assert centers.shape == (6, 24 if name == "subcenter" else 8)
    assert centers.path.endswith("centers")


def test_margin_and_scale_are_passed_to_the_head():
    embeddings, labels = tf.constant([[3.0, 0.0]]), tf.constant([0])
    for name, own in (("cosface", 1 - 0.3), ("arcface", np.cos(0.3)), ("softmax", 3.0)):
        head = registry.build(Recipe(head=name, margin=0.3, scale=SCALE), 2)
        head.build((None, 2))
        head.trainable_variables[0].assign(np.eye(2))
        scale = 1.0 if name == "softmax" else SCALE
        assert float(head(embeddings, labels)[0, 0]) == pytest.approx(scale * own, abs=3e-3)


def test_weights_stay_in_float32_under_another_policy():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        heads = [built(name) for name in CLASSIFIERS]
        losses = heads[0].losses(tf.ones([2, 8]), tf.constant([0, 1]))
    finally:
        keras.config.set_dtype_policy("float32")
    assert losses.dtype == tf.float32
    assert {one.dtype for head in heads for one in head.weights} == {"float32"}

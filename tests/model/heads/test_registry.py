import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.heads import registry
from facemill.model.recipes.choices import HEADS


@pytest.mark.parametrize("name", HEADS)
def test_every_name_is_a_head_whose_kernel_has_a_column_per_identity(name):
    keras.utils.set_random_seed(1)
    head = registry.build(name, classes=6, margin=0.3, scale=16.0)
    logits = head(tf.random.stateless_normal([5, 8], (1, 2)), tf.constant([0, 1, 2, 3, 5]))
    assert logits.shape == (5, 6)
    kernels = [one for one in head.trainable_variables if one.path.endswith("kernel")]
    assert [one.shape for one in kernels] == [(8, 6)]
    keras.utils.set_random_seed(1)
    again = registry.build(name, classes=6, margin=0.3, scale=16.0)
    again.build((None, 8))
    np.testing.assert_array_equal(again.trainable_variables[0], head.trainable_variables[0])


def test_margin_and_scale_are_passed_to_the_head():
    embeddings, labels = tf.constant([[3.0, 0.0]]), tf.constant([0])
    for name, own in (("cosface", 1 - 0.3), ("arcface", np.cos(0.3)), ("softmax", 3.0)):
        head = registry.build(name, classes=2, margin=0.3, scale=16.0)
        head.build((None, 2))
        head.trainable_variables[0].assign(np.eye(2))
        scale = 1.0 if name == "softmax" else 16.0
        assert float(head(embeddings, labels)[0, 0]) == pytest.approx(scale * own, abs=3e-3)

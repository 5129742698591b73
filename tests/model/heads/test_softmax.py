import numpy as np
import tensorflow as tf

from facemill.model.heads.softmax import Softmax


def test_logits_are_linear_with_a_bias_and_independent_of_labels():
    draw = np.random.default_rng(5)
    embeddings = draw.normal(size=(7, 4)).astype(np.float32)
    layer = Softmax(3)
    layer.build((None, 4))
    kernel, bias = layer.trainable_variables
    assert (kernel.path.rsplit("/", 1)[-1], bias.path.rsplit("/", 1)[-1]) == ("kernel", "bias")
    bias.assign([1.0, -2.0, 0.5])
    logits = layer(tf.constant(embeddings), tf.zeros([7], tf.int64)).numpy()
    expected = embeddings.astype(np.float64) @ kernel.numpy() + [1.0, -2.0, 0.5]
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    other = layer(tf.constant(embeddings), tf.ones([7], tf.int64)).numpy()
    np.testing.assert_array_equal(logits, other)

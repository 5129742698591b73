import numpy as np
import pytest
import tensorflow as tf

from facemill.model.heads import registry
from facemill.model.recipes.choices import HEADS
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import ParameterError, RunError


def built(name, size=3, classes=3, **options):
    head = registry.build(Recipe(head=name, **options), classes)
    head.build((None, size))
    return head


@pytest.mark.parametrize("label", [-1, 3])
@pytest.mark.parametrize("name", HEADS)
def test_a_label_out_of_range_is_an_error(name, label):
    embeddings = tf.random.stateless_normal([3, 3], (1, 2))
    with pytest.raises(RunError, match=rf"^Every label must be 0 to 2, got {label}; ing"):
        built(name).losses(embeddings, tf.constant([0, label, 1]))


@pytest.mark.moderate
def test_a_graph_raises_tensorflows_error_for_such_a_label():
    head = built("triplet")
    compiled = tf.function(lambda labels: head.losses(tf.ones([2, 3]), labels))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Every label must be 0 to 2"):
        compiled(tf.constant([0, 3]))


# Cosines of 1, of -1, two equal embeddings, and one of length 0.
ENDS = tf.constant([[4.0, 0.0, 0.0], [-4.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.mark.moderate
@pytest.mark.parametrize("options", [{}, {"sample_identities": 0.5}, {"margin_multiplier": 1.3}])
@pytest.mark.parametrize("name", HEADS)
def test_losses_and_gradients_are_finite_at_the_ends_of_the_cosine(name, options):
    if "sample_identities" in options and name in ("softmax", "triplet", "siamese"):
        return
    head = built(name, sub_centers=1, **options)
    centers = [one for one in head.trainable_variables if one.shape == (3, 3)]
    for one in centers:
        one.assign(np.eye(3))
    with tf.GradientTape() as tape:
        tape.watch(ENDS)
        losses = head.losses(ENDS, tf.constant([0, 0, 0, 1]))
        total = tf.reduce_sum(losses)
    assert np.all(np.isfinite(losses))
    targets = [ENDS, *(one.value for one in head.trainable_variables)]
    for gradient in tape.gradient(total, targets):
        assert np.all(np.isfinite(tf.convert_to_tensor(gradient)))


@pytest.mark.parametrize("name", ["arcface", "cosface", "adaface", "subcenter", "combined"])
def test_a_share_of_the_margin_is_the_margin_times_it(name):
    embeddings, labels = tf.random.stateless_normal([6, 3], (1, 2)), tf.constant([0, 1, 2, 0, 1, 2])
    kernel = np.random.default_rng(1).normal(size=(3, 3))
    losses = {}
    for margin, share in ((0.4, 0.0), (0.0, 1.0), (0.4, 0.5), (0.2, 1.0)):
        cosine = {"margin_cosine": margin / 2} if name == "combined" else {}
        head = built(name, margin=margin, sub_centers=1, **cosine)
        head.kernel.assign(kernel)
        assert not head.margin_share.trainable
        head.margin_share.assign(share)
        losses[margin, share] = head.losses(embeddings, labels).numpy()
    np.testing.assert_allclose(losses[0.4, 0.0], losses[0.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(losses[0.4, 0.5], losses[0.2, 1.0], rtol=1e-5)
    assert np.all(losses[0.2, 1.0] > losses[0.0, 1.0])


def test_heads_without_a_margin_have_no_share_of_it():
    for name in HEADS:
        assert (built(name).margin_share is None) == (name in ("softmax", "siamese"))


def test_statistics_of_lengths_are_weights_that_move_slowly():
    head = built("adaface")
    names = [one.name for one in head.non_trainable_variables]
    assert {"length_mean", "length_deviation"} <= set(names)
    first = np.diag([1.0, 2.0, 6.0]).astype(np.float32)
    head.losses(tf.constant(first), tf.constant([0, 1, 2]))
    assert float(head.length_mean.numpy()) == pytest.approx(3)
    assert float(head.length_deviation.numpy()) == pytest.approx(np.std([1, 2, 6], ddof=1))
    head.losses(tf.constant(10 * first), tf.constant([0, 1, 2]))
    assert float(head.length_mean.numpy()) == pytest.approx(3 + 0.01 * 27)


def test_batches_without_a_triplet_are_counted_and_have_no_loss():
    head, embeddings = built("triplet"), tf.random.stateless_normal([3, 3], (1, 2))
    assert head.notes() == []
    for labels in ([0, 1, 2], [1, 1, 1]):
        np.testing.assert_array_equal(head.losses(embeddings, tf.constant(labels)), np.zeros(3))
    assert head.losses(embeddings, tf.constant([0, 0, 1])).numpy().any()
    (note,) = head.notes()
    assert note.startswith("2 batches had no two images of one identity beside another")


def test_a_student_must_be_as_long_as_its_teacher():
    head = registry.teaching("mse")
    with pytest.raises(ParameterError, match=r"`embedding_size` must be .*teacher's.*got 3; give"):
        head.losses(tf.ones([2, 3]), tf.constant([0, 1]), targets=tf.ones([2, 4]))
    with pytest.raises(ValueError, match="needs targets"):
        head.losses(tf.ones([2, 3]), tf.constant([0, 1]))

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facemill.model.heads import registry
from facemill.model.heads.penalties import adaface, arcface, combined, cosface
from facemill.model.recipes.recipe import Recipe

SCALE = 32.0


def reference(embeddings, centers, labels, name, margin):
    """Logits by the papers' formulas, through the angle, in double precision."""
    embeddings, centers = embeddings.astype(np.float64), centers.astype(np.float64)
    cosines = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)) @ (
        centers / np.linalg.norm(centers, axis=0)
    )
    logits = cosines.copy()
    for row, label in enumerate(labels):
        own = np.clip(cosines[row, label], -1, 1)
        if name == "cosface":
            logits[row, label] = own - margin
        elif math.acos(own) + margin < math.pi:
            logits[row, label] = math.cos(math.acos(own) + margin)
        else:
            logits[row, label] = own - margin * math.sin(margin)
    return SCALE * logits


def head(name: str, centers: np.ndarray, margin: float):
    layer = registry.build(Recipe(head=name, margin=margin, scale=SCALE), centers.shape[1])
    layer.build((None, centers.shape[0]))
    layer.kernel.assign(centers)
    return layer


@pytest.mark.parametrize("name", ["arcface", "cosface"])
@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5, 1.2])
def test_logits_are_those_of_the_paper(name, margin):
    draw = np.random.default_rng(3)
    embeddings = (7 * draw.normal(size=(40, 6))).astype(np.float32)
    centers = draw.normal(size=(6, 5)).astype(np.float32)
    labels = draw.integers(0, 5, 40)
    logits = head(name, centers, margin)(tf.constant(embeddings), tf.constant(labels))
    expected = reference(embeddings, centers, labels, name, margin)
    np.testing.assert_allclose(logits.numpy(), expected, atol=1e-4)


# Angles in degrees between a row and the center of its identity. With a margin of 0.5 (28.6
# degrees) pi is passed from 151.4 degrees on.
@pytest.mark.parametrize("angle", [0, 0.05, 1, 90, 150, 151, 152, 179, 179.95, 180])
@pytest.mark.parametrize("name", ["arcface", "cosface"])
def test_logits_at_the_ends_of_the_cosine(name, angle):
    centers = np.eye(3, dtype=np.float32)
    turned = math.radians(angle)
    embeddings = np.array([[math.cos(turned), math.sin(turned), 0.0]], np.float32)
    logits = head(name, centers, 0.5)(tf.constant(embeddings), tf.constant([0]))
    expected = reference(embeddings, centers, [0], name, 0.5)
    # The sine is kept above sqrt(1e-7), which is worth 32 * 3.2e-4 * sin(0.5) at the very ends.
    np.testing.assert_allclose(logits.numpy(), expected, atol=0.006)
    if angle not in (0, 180):
        np.testing.assert_allclose(logits.numpy(), expected, atol=0.002)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", ["arcface", "cosface"])
def test_gradients_are_finite_where_the_cosine_is_one_or_minus_one(name, sign):
    centers = np.eye(3, dtype=np.float32)
    layer = head(name, centers, 0.5)
    embeddings = tf.constant([[sign * 4.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        logits = layer(embeddings, tf.constant([0]))
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits([0], logits)
    for gradient in tape.gradient(loss, [embeddings, layer.kernel.value]):
        assert np.all(np.isfinite(gradient.numpy()))


def _doubled(cosine, margin):
    return combined(cosine, 2.0, margin, 0.1)


def _of_low_quality(cosine, margin):
    return adaface(cosine[tf.newaxis], tf.constant([-1.0]), margin)[0]


def _of_high_quality(cosine, margin):
    return adaface(cosine[tf.newaxis], tf.constant([0.7]), margin)[0]


@pytest.mark.moderate
@settings(deadline=None, max_examples=50)
@given(st.floats(-1, 1, width=32), st.floats(0, 1.5, width=32))
@example(1.0, 0.5)
@example(-1.0, 0.5)
@example(1.0, 0.0)
def test_a_margin_never_raises_a_cosine_and_has_a_finite_slope(cosine, margin):
    for penalize in (arcface, cosface, _doubled, _of_low_quality, _of_high_quality):
        with tf.GradientTape() as tape:
            given_cosine = tf.constant(cosine)
            tape.watch(given_cosine)
            penalized = penalize(given_cosine, margin)
        assert float(penalized) <= cosine + 1e-6
        slope = float(tape.gradient(penalized, given_cosine))
        # Never a reward for a worse match, which a plain cos(t + m) would give beyond pi.
        assert math.isfinite(slope)
        assert slope >= 0


@pytest.mark.parametrize("name", ["arcface", "cosface"])
def test_only_the_own_identity_is_penalized_and_lengths_do_not_matter(name):
    draw = np.random.default_rng(4)
    embeddings = draw.normal(size=(8, 6)).astype(np.float32)
    centers = draw.normal(size=(6, 5)).astype(np.float32)
    labels = tf.constant(draw.integers(0, 5, 8))
    plain = head(name, centers, 0.0)(tf.constant(embeddings), labels).numpy()
    with_margin = head(name, centers, 0.4)(tf.constant(embeddings), labels).numpy()
    longer = head(name, 9 * centers, 0.4)(tf.constant(5 * embeddings), labels).numpy()
    own = tf.one_hot(labels, 5).numpy() == 1
    np.testing.assert_allclose(with_margin[~own], plain[~own], atol=1e-4)
    assert np.all(with_margin[own] < plain[own] - 1)
    np.testing.assert_allclose(longer, with_margin, atol=1e-3)


def test_the_combined_margin_of_factor_1_is_arcface_less_a_cosine():
    cosine = tf.linspace(-1.0, 1.0, 41)
    expected = arcface(cosine, 0.3).numpy() - np.float32(0.2)
    np.testing.assert_array_equal(combined(cosine, 1.0, 0.3, 0.2), expected)
    # The general formula gives the same wherever it is not at its ends.
    general = combined(cosine, 1.0 + 1e-9, 0.3, 0.2).numpy()
    np.testing.assert_allclose(general[4:-1], expected[4:-1], atol=1e-5)


def test_a_share_shrinks_all_three_margins():
    cosine = tf.linspace(-0.9, 0.9, 7)
    halved = combined(cosine, 1.5, 0.3, 0.2, 0.5)
    np.testing.assert_allclose(halved, combined(cosine, 1.25, 0.15, 0.1), atol=1e-6)
    np.testing.assert_allclose(combined(cosine, 1.5, 0.3, 0.2, 0.0), cosine, atol=1e-6)


def test_the_margin_of_adaface_is_arcfaces_cosfaces_and_in_between():
    cosine = tf.linspace(-0.8, 0.8, 9)
    quality = tf.ones_like(cosine)
    np.testing.assert_allclose(adaface(cosine, -quality, 0.4), arcface(cosine, 0.4), atol=1e-6)
    np.testing.assert_allclose(adaface(cosine, 0 * quality, 0.4), cosface(cosine, 0.4), atol=1e-6)
    turned = np.cos(np.arccos(cosine.numpy()) - 0.4) - 0.8
    np.testing.assert_allclose(adaface(cosine, quality, 0.4), turned, atol=1e-6)
    # Below 0 and above pi the angle is cut off, as the paper's code does.
    ends = adaface(tf.constant([0.99, -0.99]), tf.constant([1.0, -1.0]), 0.4)
    np.testing.assert_allclose(ends, [1 - 0.8, -1], atol=1e-6)

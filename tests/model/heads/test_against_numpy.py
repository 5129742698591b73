"""Each head's losses, and their gradients by differences in float64, against the formulas."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.heads import registry
from facemill.model.recipes.choices import HEADS
from facemill.model.recipes.recipe import Recipe
from tests.model.heads import references

CLASSES, SIZE = 5, 8
LABELS = np.array([0, 1, 0, 2, 4, 1, 0, 2])


def embeddings_of(seed):
    draw = np.random.default_rng(seed)
    # Lengths that differ, for AdaFace.
    return draw.normal(size=(len(LABELS), SIZE)) * draw.uniform(0.5, 9, (len(LABELS), 1))


def of_adaface(embeddings):
    quality = references.qualities(embeddings, 0.333)

    def penalize(angle, row):
        turned = np.clip(angle - 0.4 * quality[row], 0, math.pi)
        return math.cos(turned) - (0.4 * quality[row] + 0.4)

    return references.margin(penalize)


def of_arcface(angle, row, margin=0.5):
    beyond = math.cos(angle) - margin * math.sin(margin)
    return math.cos(angle + margin) if angle + margin < math.pi else beyond


def of_combined(angle, row):
    """Of m1 = 1.2, m2 = 0.3 and m3 = 0.2."""
    last = (math.pi - 0.3) / 1.2
    beyond = math.cos(angle) - math.cos(last) - 1
    return (math.cos(1.2 * angle + 0.3) if angle < last else beyond) - 0.2


# Options of a recipe, and the losses of (embeddings, kernel, labels).
CASES = {
    "softmax": ({}, lambda e: references.softmax),
    "softmax smoothed": (
        {"label_smoothing": 0.1},
        lambda e: lambda *values: references.softmax(*values, smoothing=0.1),
    ),
    "arcface": ({}, lambda e: references.margin(of_arcface)),
    "arcface smoothed": (
        {"label_smoothing": 0.2},
        lambda e: references.margin(of_arcface, smoothing=0.2),
    ),
    "cosface": ({}, lambda e: references.margin(lambda angle, row: math.cos(angle) - 0.35)),
    "adaface": ({}, of_adaface),
    "subcenter": ({"sub_centers": 3}, lambda e: references.margin(of_arcface, sub_centers=3)),
    "combined": (
        {},
        lambda e: references.margin(lambda angle, row: of_arcface(angle, row, 0.3) - 0.2),
    ),
    "combined 1.2": ({"margin_multiplier": 1.2}, lambda e: references.margin(of_combined)),
    "arcface in parts": ({"network": "patches"}, lambda e: references.in_parts(4, of_arcface)),
    "subcenter in parts": (
        {"network": "patches", "sub_centers": 3},
        lambda e: references.in_parts(4, of_arcface, sub_centers=3),
    ),
    "triplet": ({}, lambda e: lambda e, k, labels: references.triplet(e, labels, 0.2)),
    "siamese": ({}, lambda e: references.siamese),
}


def test_every_head_has_a_reference():
    assert {name.split()[0] for name in CASES} == set(HEADS)


@pytest.mark.moderate
@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_of_the_formula(name):
    options, reference = CASES[name]
    keras.utils.set_random_seed(2)
    head = registry.build(Recipe(head=name.split()[0], scale=references.SCALE, **options), CLASSES)
    head.build((None, SIZE))
    values = embeddings_of(3)
    embeddings = tf.constant(values, tf.float32)
    kernels = [one for one in head.trainable_variables if one.path.endswith("kernel")]
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        losses = head.losses(embeddings, tf.constant(LABELS))
        total = tf.reduce_sum(losses)
    found = tape.gradient(total, [embeddings, *(one.value for one in kernels)])
    kernel = kernels[0].numpy().astype(np.float64) if kernels else None
    compute = reference(values)
    np.testing.assert_allclose(losses, compute(values, kernel, LABELS), rtol=2e-4, atol=2e-5)
    assert losses.dtype == tf.float32
    expected = [references.gradient(lambda one: compute(one, kernel, LABELS).sum(), values)]
    if kernels:
        by_kernel = references.gradient(lambda one: compute(values, one, LABELS).sum(), kernel)
        expected.append(by_kernel)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("mse", lambda e, t: ((e - t) ** 2).mean(axis=1)),
        (
            "cosine",
            lambda e, t: 1 - (references.unit(e) * references.unit(t)).sum(axis=1),
        ),
    ],
)
def test_losses_of_a_teacher_are_those_of_the_formula(name, reference):
    head = registry.teaching(name)
    head.build((None, SIZE))
    assert head.needs_targets
    values, aims = embeddings_of(3), embeddings_of(4)
    embeddings, targets = (tf.constant(one, tf.float32) for one in (values, aims))
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        losses = head.losses(embeddings, tf.constant(LABELS), targets=targets)
        total = tf.reduce_sum(losses)
    np.testing.assert_allclose(losses, reference(values, aims), rtol=1e-5, atol=1e-6)
    expected = references.gradient(lambda one: reference(one, aims).sum(), values)
    np.testing.assert_allclose(tape.gradient(total, embeddings), expected, rtol=1e-3, atol=1e-5)

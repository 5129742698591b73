import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.heads.margin import Margin
from facemill.model.heads.penalties import cosface
from facemill.model.heads.sampling import Sample, draw

CLASSES = 40
LABELS = tf.constant([3, 17, 3, 39, 0], tf.int64)


def head(sample, classes=CLASSES, parts=1):
    keras.utils.set_random_seed(4)
    options = {"sample": sample, "parts": parts}
    layer = Margin(classes, 8.0, lambda own, share: cosface(own, 0.2 * share), **options)
    layer.build((None, 6))
    return layer


@pytest.mark.parametrize(("share", "count"), [(0.01, 4), (0.25, 10), (0.26, 11), (1.0, CLASSES)])
def test_the_batch_is_drawn_and_others_up_to_the_share(share, count):
    drawn = draw(LABELS, CLASSES, Sample(share, 1), 7)
    identities = drawn.identities.numpy()
    assert len(identities) == count
    assert np.all(np.diff(identities) > 0)
    assert identities.min() >= 0
    assert identities.max() < CLASSES
    np.testing.assert_array_equal(identities[drawn.columns.numpy()], LABELS)
    own = np.isin(identities, LABELS)
    correction = np.log(36 / max(count - 4, 1)) if count > 4 else 0
    np.testing.assert_allclose(drawn.corrections, np.where(own, 0, correction), rtol=1e-6)


def test_what_is_drawn_follows_from_seed_and_step():
    def identities(seed, step):
        return draw(LABELS, CLASSES, Sample(0.5, seed), step).identities.numpy().tolist()

    assert identities(1, 7) == identities(1, tf.constant(7, tf.int64))
    assert len({tuple(identities(seed, step)) for seed in (1, 2) for step in (7, 8)}) == 4


@pytest.mark.parametrize("parts", [1, 3])
def test_a_share_of_1_has_the_losses_and_gradients_of_all_identities(parts):
    full, sampled = (head(sample, parts=parts) for sample in (None, Sample(1.0, 1)))
    sampled.centers.assign(full.kernel.numpy().T)
    embeddings = tf.random.stateless_normal([5, 6], (1, 2))
    found = []
    for layer, weight in ((full, full.kernel), (sampled, sampled.centers)):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            losses = layer.losses(embeddings, LABELS)
            total = tf.reduce_sum(losses)
        found.append([losses, *tape.gradient(total, [embeddings, weight.value])])
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-5)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-4, atol=1e-6)
    assert isinstance(found[1][2], tf.IndexedSlices)
    by_rows = tf.convert_to_tensor(found[1][2]).numpy()
    np.testing.assert_allclose(by_rows.T, found[0][2], rtol=1e-4, atol=1e-6)


def test_the_gradient_has_the_rows_that_were_drawn():
    layer = head(Sample(0.3, 1))
    embeddings = tf.random.stateless_normal([5, 6], (1, 2))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer.losses(embeddings, LABELS, step=3))
    gradient = tape.gradient(total, layer.centers.value)
    expected = draw(LABELS, CLASSES, Sample(0.3, 1), 3).identities
    np.testing.assert_array_equal(gradient.indices, expected)
    assert gradient.values.shape == (12, 6)


@pytest.mark.moderate
def test_the_sum_over_a_sample_is_in_expectation_that_over_all():
    full, sampled = head(None), head(Sample(0.5, 1))
    sampled.centers.assign(full.kernel.numpy().T)
    embeddings = tf.random.stateless_normal([5, 6], (1, 2))
    logits = full(embeddings, LABELS).numpy().astype(np.float64)
    own = logits[np.arange(5), LABELS.numpy()]
    # exp(loss) x exp(own logit) is the sum of exponentials.
    compiled = tf.function(lambda step: sampled.losses(embeddings, LABELS, step=step))
    losses = np.array([compiled(tf.constant(step)) for step in range(400)], np.float64)
    sums = np.exp(losses + own)
    expected = np.exp(logits).sum(axis=1)
    spread = sums.std(axis=0) / np.sqrt(len(sums))
    assert np.all(np.abs(sums.mean(axis=0) - expected) < 4 * spread)
    assert np.all(spread < 0.05 * expected)
    # The loss itself is a logarithm of it, so a little below in the mean.
    np.testing.assert_allclose(losses.mean(axis=0), np.log(expected) - own, rtol=0.1, atol=0.05)

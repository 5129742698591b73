"""Cross-entropy over logits, with smoothed labels if asked."""

import tensorflow as tf


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """-log p(label), or against (1 - e) x label + e / classes for each class.

    Smoothing: Szegedy et al. 2016, arXiv 1512.00567, section 7.

    Args:
        logits: float32 [N, classes].
        labels: int [N].
        smoothing: e, in [0, 1).

    Returns:
        float32 [N].
    """
    own = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if not smoothing:
        return own
    of_all = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_mean(logits, axis=1)
    return (1.0 - smoothing) * own + smoothing * of_all

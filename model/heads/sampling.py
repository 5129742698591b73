"""Which identities a step compares its embeddings with: those of the batch and some others."""

import math
from dataclasses import dataclass

import tensorflow as tf

from facemill.model.heads.base import gathered

# Sets the draws apart from others of the same seed.
_SALT = 0x5A4D


@dataclass(frozen=True)
class Sample:
    """How identities are drawn.

    Attributes:
        share: of all identities, above 0 and at most 1.
        seed: of the draws.
    """

    share: float
    seed: int


@dataclass(frozen=True)
class Drawn:
    """The identities of one step, S of them.

    Attributes:
        identities: int32 [S], rising.
        columns: int32 [N], where the label of each example stands among them.
        corrections: float32 [S], to be added to the logits of each identity.
    """

    identities: tf.Tensor
    columns: tf.Tensor
    corrections: tf.Tensor


def draw(labels: tf.Tensor, classes: int, sample: Sample, step: tf.Tensor | int) -> Drawn:
    """All identities of the global batch, and others at random up to a share of all.

    An et al. 2021, arXiv 2010.05222, and 2022, arXiv 2203.15565, section 3 (PartialFC). Each other
    identity is drawn with the same probability q, and log(1 / q) is added to its logit, so that the
    sum of exponentials is in expectation the sum over all identities (Jean et al. 2015, arXiv
    1412.2007, section 3; PartialFC leaves it out). What is drawn follows from seed and step, and is
    the same on all replicas.

    Args:
        labels: int [N], of this replica.
        classes: number of identities.
        sample: share and seed; a share smaller than the batch is raised to its size.
        step: of the optimizer.
    """
    labels = tf.cast(labels, tf.int32)
    own, _ = tf.unique(gathered(labels))
    present = tf.size(own)
    wanted = tf.maximum(math.ceil(sample.share * classes), present)
    seed = tf.stack([sample.seed ^ _SALT, tf.cast(tf.convert_to_tensor(step), tf.int32)])
    priorities = tf.random.stateless_uniform([classes], seed)
    # Above all others, which are below 1.
    priorities = tf.tensor_scatter_nd_update(
        priorities, own[:, tf.newaxis], tf.fill([present], 2.0)
    )
    chosen, identities = tf.math.top_k(priorities, wanted, sorted=False)
    order = tf.argsort(identities, stable=True)
    identities = tf.gather(identities, order)
    drawn = tf.gather(chosen, order) < 2.0
    others, rest = tf.cast(wanted - present, tf.float32), tf.cast(classes - present, tf.float32)
    # With none drawn the quotient is never used.
    corrections = tf.where(drawn, tf.math.log(rest / tf.maximum(others, 1.0)), 0.0)
    return Drawn(identities, tf.searchsorted(identities, labels), corrections)

"""A training step with facemill's layers against the same step with Keras's own, in one run.

The claim: MobileFaceNet's step on a CPU takes at most 0.65 of the CPU time. The column
`loss apart` says how far the losses part. The steps take turns, on one batch of random images and
with the same weights at first.

    python benchmarks/train_step.py --steps 20 --networks mobilefacenet:112 residual:64

`--steps` counts the steps that are compared; the first one also traces, and is not timed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from facemill.model.networks import layers, registry

IDENTITIES = 100
EMBEDDING = 128
WARMUP = 100
KERAS = {
    layers.BatchNormalization: keras.layers.BatchNormalization,
    layers.PReLU: keras.layers.PReLU,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--networks", nargs="+", default=["mobilefacenet:112", "residual:64"])
    arguments = parser.parse_args()
    # As `facemill train` sets it.
    tf.config.experimental.enable_op_determinism()
    print(f"{'network':18}{'Keras ms':>10}{'ours ms':>10}{'ratio':>8}{'loss apart':>12}")
    for text in arguments.networks:
        name, size = text.split(":")
        _compare(name, int(size), arguments.batch_size, arguments.steps)


def _compare(name: str, size: int, batch: int, steps: int) -> None:
    keras.utils.set_random_seed(1)
    ours = registry.build(name, size, EMBEDDING, dropout=0.0)
    theirs = keras.models.clone_model(ours, clone_function=_keras_layer)
    theirs.set_weights(ours.get_weights())
    rng = np.random.default_rng(2)
    images = tf.constant(rng.normal(size=(batch, size, size, 3)).astype(np.float32))
    labels = tf.constant(rng.integers(0, IDENTITIES, batch))
    runs = [training_step(network) for network in (theirs, ours)]
    seconds = [0.0, 0.0]
    losses: list[list[float]] = [[], []]
    for number in range(steps):
        for index, run in enumerate(runs):
            started = time.process_time()
            losses[index].append(float(run(images, labels)))
            if number:
                seconds[index] += time.process_time() - started
    each = [1e3 * one / (steps - 1) / batch for one in seconds]
    apart = np.abs(np.subtract(losses[0], losses[1])).max()
    print(
        f"{name + ' ' + str(size):18}{each[0]:10.1f}{each[1]:10.1f}{each[1] / each[0]:8.2f}"
        f"{apart:12.1e}   last loss {losses[1][-1]:.4f}",
        flush=True,
    )


def _keras_layer(layer: Any) -> Any:
    return KERAS.get(type(layer), type(layer)).from_config(layer.get_config())


def training_step(network: keras.Model) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A step of gradient descent with momentum on a linear classifier of the embedding.

    The learning rate rises from 0 to 0.1 over `WARMUP` steps, as in a run of `facemill train`.
    """
    shape = (network.output.shape[-1], IDENTITIES)
    kernel = np.random.default_rng(0).normal(0, 0.05, shape).astype(np.float32)
    rate = keras.optimizers.schedules.PolynomialDecay(0.0, WARMUP, 0.1)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    variables = network.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = network(images, training=True) @ kernel
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [one.value for one in variables])
        gradients, _ = tf.clip_by_global_norm(gradients, 5.0)
        optimizer.apply(gradients, variables)
        return loss

    return step


if __name__ == "__main__":
    main()

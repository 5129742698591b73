"""What each network costs: parameters, FLOPs, and images/s of a training step and a forward pass.

All networks take turns in one run, so that their figures can be compared; prints a Markdown table.

    python benchmarks/networks.py --size 112 --batch-size 8 --rounds 3

Images/s are of one core: images by the CPU time of the process, whatever else runs beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The other benchmark, whichever folder this one is started from.
sys.path.insert(0, str(Path(__file__).parent))

import keras
import numpy as np
import tensorflow as tf
from train_step import EMBEDDING, IDENTITIES, training_step

from facemill.model.networks import cost, registry
from facemill.model.recipes.choices import NETWORKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    arguments = parser.parse_args()
    tf.config.experimental.enable_op_determinism()
    shape = (arguments.batch_size, arguments.size, arguments.size, 3)
    rng = np.random.default_rng(1)
    images = tf.constant(rng.normal(size=shape).astype(np.float32))
    labels = tf.constant(rng.integers(0, IDENTITIES, arguments.batch_size))
    costs, work = {}, {}
    for name in arguments.networks:
        keras.utils.set_random_seed(1)
        network = registry.build(name, arguments.size, EMBEDDING)
        costs[name] = cost.of(network)
        step, forward = training_step(network), _forward(network)
        work[name] = (lambda run=step: run(images, labels), lambda run=forward: run(images))
    seconds = {name: [0.0, 0.0] for name in work}
    # The first round traces, and is not timed.
    for number in range(arguments.rounds + 1):
        for name, runs in work.items():
            for index, run in enumerate(runs):
                started = time.process_time()
                run().numpy()
                if number:
                    seconds[name][index] += time.process_time() - started
    images_done = arguments.batch_size * arguments.rounds
    print(f"{arguments.size} x {arguments.size} pixels, D = {EMBEDDING}\n")
    print("| network | parameters | FLOPs of an image | step, images/s | forward, images/s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, found in costs.items():
        step_rate, forward_rate = (images_done / one for one in seconds[name])
        print(
            f"| `{name}` | {found.parameters / 1e6:.2f} M | {found.flops / 1e6:,.0f} M "
            f"| {step_rate:.1f} | {forward_rate:.1f} |"
        )


def _forward(network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    return tf.function(lambda images: network(images, training=False))


if __name__ == "__main__":
    main()

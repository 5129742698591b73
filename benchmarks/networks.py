"""What each network costs: parameters, FLOPs, and images/s of a training step and a forward pass.

All networks take turns in one run, so that their figures can be compared; prints a Markdown table.
Each is measured as docs/networks.md counts it, in a batch that takes some seconds:

    python benchmarks/networks.py --rounds 2

Images/s are of one core: images by the CPU time of the process with one thread for operations,
whatever else runs beside it, in the fastest round. The run takes two to three minutes of CPU.
"""

from __future__ import annotations

import argparse
import dataclasses
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
from train_step import IDENTITIES, training_step

from facemill.model.networks import cost, registry
from facemill.model.recipes.choices import NETWORKS

# Side of the image and embedding size where they are not the ordinary ones.
_SIZES = {"residual": 64}
_EMBEDDINGS = {"mobilefacenet": 128, "plain": 128, "compact": 192, "residual": 256}
_SIZE, _EMBEDDING = 112, 512
# A batch is as large as this many operations of a forward pass allow.
_BATCH_FLOPS = 21e9
_LARGEST_BATCH, _SMALLEST_BATCH = 32, 2


@dataclasses.dataclass
class Measured:
    """One network.

    Attributes:
        where: what it was measured at, for the table.
        cost: its size.
        batch: images of a batch.
        runs: a step and a forward pass.
        least: CPU seconds of the fastest of each.
    """

    where: str
    cost: cost.Cost
    batch: int
    runs: tuple[Callable[[], tf.Tensor], Callable[[], tf.Tensor]]
    least: list[float] = dataclasses.field(default_factory=lambda: [float("inf")] * 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    arguments = parser.parse_args()
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    measured = {name: _prepare(name) for name in arguments.networks}
    # The first round traces, and is not timed.
    for number in range(arguments.rounds + 1):
        for name, one in measured.items():
            for index, run in enumerate(one.runs):
                started = time.process_time()
                run().numpy()
                if number:
                    one.least[index] = min(one.least[index], time.process_time() - started)
            print(f"round {number}: {name}", file=sys.stderr, flush=True)
    print("| network | parameters | FLOPs | step, images/s | forward, images/s | measured at |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name, one in measured.items():
        step, forward = (one.batch / seconds for seconds in one.least)
        print(
            f"| `{name}` | {one.cost.parameters / 1e6:.2f} M | {one.cost.flops / 1e6:,.0f} M "
            f"| {step:.1f} | {forward:.1f} | {one.where} |"
        )


def _prepare(name: str) -> Measured:
    size = _SIZES.get(name, _SIZE)
    embedding = _EMBEDDINGS.get(name, _EMBEDDING)
    keras.utils.set_random_seed(1)
    network = registry.build(name, size, embedding)
    found = cost.of(network)
    batch = _LARGEST_BATCH
    while batch > _SMALLEST_BATCH and batch * found.flops > _BATCH_FLOPS:
        batch //= 2
    rng = np.random.default_rng(1)
    images = tf.constant(rng.normal(size=(batch, size, size, 3)).astype(np.float32))
    labels = tf.constant(rng.integers(0, IDENTITIES, batch))
    step = training_step(network)
    forward = tf.function(lambda images: network(images, training=False))
    runs = (lambda: step(images, labels), lambda: forward(images))
    return Measured(f"{size} px, D = {embedding}, batch {batch}", found, batch, runs)


if __name__ == "__main__":
    main()

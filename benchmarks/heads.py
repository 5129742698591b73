"""Time and memory of a head's step for many identities, all of them against a sampled share.

The claim: with `--sample-identities` a step reads and updates only the drawn centers, so a million
identities cost what their centers and momentum take, and time for the share. One step is the loss,
its gradients for embeddings and centers, clipping, and SGD with momentum, as in training, for the
default batch of 64 embeddings of 128 values; the network is left out. Each case runs in a process
of its own. `Keras's update` is the same sample without `model.heads.lazy_rows`: there momentum
moves every center.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

IDENTITIES = (10_000, 100_000, 1_000_000)
SHARE, BATCH, SIZE, STEPS = 0.1, 64, 128, 5
CASES = ("all", "sampled", "Keras's update")
# Copies of centers and of logits that a step over all identities holds at its peak, about.
_CENTERS, _LOGITS = 6, 8


def _child(case: str, identities: int) -> None:
    """Prints the figures of one case as JSON."""
    import keras
    import tensorflow as tf

    from facemill.model.heads import lazy_rows, registry
    from facemill.model.recipes.recipe import Recipe

    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(1)
    tf.constant(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    share = 1.0 if case == "all" else SHARE
    head = registry.build(Recipe(sample_identities=share), identities)
    head.build((None, SIZE))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=5e-3)
    if case != "all":
        optimizer.exclude_from_weight_decay(var_list=head.trainable_variables)
    if case == "sampled":
        lazy_rows.update_read_rows_alone(optimizer)
    optimizer.build(head.trainable_variables)

    @tf.function
    def step(embeddings: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        centers = [one.value for one in head.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            losses = head.losses(embeddings, labels, step=optimizer.iterations)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [embeddings, *centers])
        gradients, _ = tf.clip_by_global_norm(gradients, 5.0)
        optimizer.apply(gradients[1:], head.trainable_variables)
        return loss

    cpu, wall = [], []
    for number in range(STEPS + 1):
        embeddings = tf.random.stateless_normal([BATCH, SIZE], (1, number))
        labels = tf.random.stateless_uniform([BATCH], (2, number), 0, identities, tf.int32)
        started, began = time.process_time(), time.perf_counter()
        step(embeddings, labels).numpy()
        cpu.append(time.process_time() - started)
        wall.append(time.perf_counter() - began)
    # The first step traces the graph.
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"cpu": min(cpu[1:]), "wall": min(wall[1:]), "bytes": 1024 * used}))


def _fits(case: str, identities: int) -> bool:
    if case == "sampled":
        return True
    values = identities * (SIZE * _CENTERS + BATCH * _LOGITS * (case == "all"))
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 4 * values < 0.7 * free


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--identities", type=int, nargs="+", default=IDENTITIES)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        _child(given.case, given.identities[0])
        return
    print(f"batch {BATCH}, {SIZE} values, a share of {SHARE:g} of the identities where sampled")
    print(
        f"{'identities':>10}  {'head':<15}{'CPU ms':>9}{'ms':>9}{'MB':>8}{'centers + momentum':>20}"
    )
    for identities in given.identities:
        for case in CASES:
            row = f"{identities:>10,}  {case:<15}"
            if not _fits(case, identities):
                print(f"{row}  does not fit into the free memory")
                continue
            command = [sys.executable, "-m", "benchmarks.heads", "--case", case]
            command += ["--identities", str(identities)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])
            found = json.loads(done.stdout.splitlines()[-1])
            held = 2 * 4 * SIZE * identities / 1e6
            print(
                f"{row}{1000 * found['cpu']:>9.1f}{1000 * found['wall']:>9.1f}"
                f"{found['bytes'] / 1e6:>8,.0f}{held:>20,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

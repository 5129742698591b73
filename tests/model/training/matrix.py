"""Each head on one replica, on two, and on two workers, in processes of their own.

python -m tests.model.training.matrix DATASET FILE replicas
python -m tests.model.training.matrix DATASET FILE PORT,PORT INDEX
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from facemill.model.data.vocabulary import Transform
from facemill.model.networks.layers import convolution, synchronize
from facemill.model.recipes.choices import HEADS, NEED_PAIRS, SAMPLED
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import precision
from facemill.model.training import strategy as strategies
from facemill.model.training.cluster import Cluster
from facemill.model.training.crew import Crew
from facemill.model.training.meeting import meet
from facemill.model.training.trainer import Data, Trainer
from tests.model import tiny

STEPS = 20
# Each image's result depends on that image alone: no BatchNorm, no dropout. The rate is one at
# which a difference in the last digit stays one.
PLAIN = Recipe(
    network="plain", embedding_size=16, scale=8.0, steps=STEPS, batch_size=12,
    learning_rate=0.01, warmup_epochs=1.0, clip_norm=2.0, weight_decay=0.05, erase=0.3,
)  # fmt: skip
CASES = {head: dataclasses.replace(PLAIN, head=head) for head in HEADS}
CASES |= {
    head: dataclasses.replace(CASES[head], images_per_identity=4)
    for head in HEADS
    if head in NEED_PAIRS
}
CASES |= {
    f"sampled {head}": dataclasses.replace(CASES[head], sample_identities=0.8)
    for head in HEADS
    if head in SAMPLED
}
# Its margin is divided by the deviation of lengths, which is small at first.
CASES["adaface"] = dataclasses.replace(CASES["adaface"], learning_rate=2e-3)
CASES |= {
    "averaged": dataclasses.replace(CASES["arcface"], ema=0.9),
    "in parts": dataclasses.replace(CASES["arcface"], accumulate=3, ema=0.9),
    # It divides each gradient by its own size, so that those that are all rounding count in full.
    "by adamw": dataclasses.replace(CASES["cosface"], optimizer="adamw", learning_rate=1e-4),
}


def train(dataset: Path, recipe: Recipe, crew: Crew, strategy: tf.distribute.Strategy) -> dict:
    """Losses, then all weights of network, head and average, and the norms of gradients."""
    keras.utils.set_random_seed(recipe.seed)
    manifest = tiny.manifest(dataset)
    data = Data(str(dataset), manifest, Transform(str(dataset), manifest), None)
    with tempfile.TemporaryDirectory() as folder:
        trained = Trainer(data, recipe, strategy, folder, folder, crew=crew)
        trained.run()
    weights = trained.embedder.network.get_weights() + trained._head.get_weights()
    weights += trained.exported.network.get_weights()
    norms = [row["norms"] for row in trained.history.gradients]
    named = {f"weight {index:03d}": value for index, value in enumerate(weights)}
    return {"losses": np.array(trained.history.losses), "norms": np.array(norms), **named}


def normalize(strategy: tf.distribute.Strategy, kind: str) -> dict:
    """Losses and weights of a network with synchronized normalization, in `kind`."""
    batch, size = 12, 8
    keras.utils.set_random_seed(1)
    draw = np.random.default_rng(0)
    pixels = draw.normal(3.0, 1.0, (STEPS, batch, size, size, 3))
    with strategy.scope():
        inputs = keras.Input((size, size, 3), dtype=kind)
        with precision.layers_of(kind):
            x = convolution(convolution(inputs, 8), 8)
            outputs = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x))
        network = keras.Model(inputs, outputs)
        synchronize(network)
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
        optimizer.build(network.trainable_variables)
    count = strategy.num_replicas_in_sync

    def replica(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            found = network(images, training=True)
            loss = tf.reduce_sum(tf.square(found - 1.0)) / batch
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, [one.value for one in variables]), variables)
        return loss

    @tf.function
    def run(images: tf.Tensor) -> tf.Tensor:
        return strategy.reduce("SUM", strategy.run(replica, (images,)), axis=None)

    losses = []
    for step in range(STEPS):
        parts = np.split(pixels[step].astype(kind), count)
        of = strategy.experimental_distribute_values_from_function(
            lambda context, parts=parts: tf.constant(parts[context.replica_id_in_sync_group])
        )
        losses.append(run(of).numpy())
    named = {f"weight {at:03d}": value for at, value in enumerate(network.get_weights())}
    return {"losses": np.array(losses), **named}


def results(dataset: Path, strategy: tf.distribute.Strategy, crew: Crew) -> dict:
    found = {}
    for name, recipe in CASES.items():
        for key, value in train(dataset, recipe, crew, strategy).items():
            found[f"{name}/{key}"] = value
    for kind in ("float64", "float32"):
        for key, value in normalize(strategy, kind).items():
            found[f"synchronized {kind}/{key}"] = value
    return found


def main(dataset: Path, path: str, ports: str, index: str = "") -> None:
    if ports == "replicas":
        strategies.replicas(2)
        tf.config.experimental.enable_op_determinism()
        found = {}
        for count in (1, 2):
            strategy = tf.distribute.MirroredStrategy([f"/cpu:{at}" for at in range(count)])
            for name, value in results(dataset, strategy, Crew(strategy)).items():
                found[f"{count}/{name}"] = value
        np.savez(path, **found)
        return
    cluster = Cluster(tuple(f"localhost:{port}" for port in ports.split(",")), int(index))
    link = meet(cluster, {})
    with link.together((tf.errors.OpError,)):
        strategy = strategies.join(cluster)
        link.call_on_failure(strategies.abort)
        tf.config.experimental.enable_op_determinism()
        np.savez(path, **results(dataset, strategy, Crew(strategy, cluster)))
        if not cluster.is_chief:
            link.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

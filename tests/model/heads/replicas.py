"""Steps of heads on one and on two replicas, in a process of its own.

python -m tests.model.heads.replicas FILE
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from facemill.model.heads import lazy_rows, registry
from facemill.model.recipes.recipe import Recipe

CLASSES, BATCH, STEPS = 9, 12, 2
# Heads whose losses depend on the whole batch: its statistics, its pairs, its identities.
RECIPES = {
    "triplet": Recipe(head="triplet", margin=1.0),
    "siamese": Recipe(head="siamese"),
    "sampled": Recipe(head="adaface", scale=8.0, sample_identities=0.8),
}


def steps(recipe: Recipe, strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Losses of each step, then all weights, of a linear network and a head."""
    count = strategy.num_replicas_in_sync
    keras.utils.set_random_seed(1)
    draw = np.random.default_rng(0)
    pixels = draw.normal(size=(STEPS, BATCH, 6)).astype(np.float32)
    # Several images of an identity, on one replica and across both.
    labels = np.array([draw.permutation(np.arange(BATCH) % 5) for _ in range(STEPS)])
    with strategy.scope():
        network = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(8)])
        head = registry.build(recipe, CLASSES)
        head.build((None, 8))
        variables = network.trainable_variables + head.trainable_variables
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01)
        names = [one for one in variables if not one.path.endswith("kernel")]
        optimizer.exclude_from_weight_decay(var_list=names)
        if recipe.sample_identities < 1:
            lazy_rows.update_read_rows_alone(optimizer)
        optimizer.build(variables)

    def replica(images: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = head.losses(network(images), own, step=optimizer.iterations)
            loss = tf.reduce_sum(losses) / BATCH
        gradients = tape.gradient(loss, [one.value for one in variables])
        gradients, _ = tf.clip_by_global_norm(lazy_rows.summed(gradients), 1.0)
        optimizer.apply(lazy_rows.divided(gradients, count), variables)
        return loss

    @tf.function
    def run(images: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        return strategy.reduce("SUM", strategy.run(replica, (images, own)), axis=None)

    def part(values: np.ndarray):
        of_replicas = np.split(values, count)

        def of(context: tf.distribute.experimental.ValueContext) -> tf.Tensor:
            return tf.constant(of_replicas[context.replica_id_in_sync_group])

        return strategy.experimental_distribute_values_from_function(of)

    losses = [run(part(pixels[step]), part(labels[step])).numpy() for step in range(STEPS)]
    return [np.array(losses), *(one.numpy() for one in network.weights + head.weights)]


def main(path: str) -> None:
    """Writes the results of all heads."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    tf.config.set_logical_device_configuration(cpu, parts)
    found = {}
    for count in (1, 2):
        strategy = tf.distribute.MirroredStrategy([f"/cpu:{index}" for index in range(count)])
        for name, recipe in RECIPES.items():
            for index, value in enumerate(steps(recipe, strategy)):
                found[f"{name} {index} {count}"] = value
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])

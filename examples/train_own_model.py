"""Trains a Keras model of your own on a dataset that facemill has cleaned and split.

`load_dataset` returns a `tf.data.Dataset` of dictionaries; Keras needs pairs of image and label.
The validation split of a face dataset has other identities than the train split, so this example
measures accuracy on the train split; `facemill train` measures it on pairs of unseen identities.

    python examples/train_own_model.py dataset
"""

import sys
from collections.abc import Sequence

import keras
import tensorflow as tf

import facemill


def main(arguments: Sequence[str]) -> None:
    """Trains for five epochs and prints the accuracy after each."""
    dataset = arguments[0] if arguments else "demo/dataset"
    index = facemill.read_index(dataset, ["identity"], [("split", "==", "train")])
    classes = len(index["identity"].unique())

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Resizing(32, 32),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=loss, metrics=["accuracy"])
    for epoch in range(5):
        # The seed gives each epoch its own order.
        batches = facemill.load_dataset(dataset, "train", 16, shuffle=True, seed=epoch)
        history = model.fit(batches.map(_pair), shuffle=False, verbose=0).history
        print(
            f"epoch {epoch + 1}: loss {history['loss'][0]:.3f}, "
            f"accuracy {history['accuracy'][0]:.3f} over {classes} identities"
        )


def _pair(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    return batch["image"], batch["label"]


if __name__ == "__main__":
    main(sys.argv[1:])

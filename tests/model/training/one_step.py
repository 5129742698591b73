"""A recipe of one step, and the weights before and after it."""

import numpy as np

from facemill.model.recipes.recipe import Recipe
from facemill.model.training.trainer import Trainer

# One step without momentum, decay and clipping, so that its size is the gradient times the rate.
ONE_STEP = Recipe(
    network="plain",
    head="arcface",
    embedding_size=16,
    scale=8.0,
    steps=1,
    batch_size=10,
    warmup_epochs=0,
    learning_rate=0.01,
    momentum=0.0,
    weight_decay=0.0,
    clip_norm=0.0,
)


def weights_of(trained: Trainer) -> dict[str, np.ndarray]:
    """Trainable weights by index and kind, since Keras numbers layers across models."""
    return {
        f"{index} {one.path.rsplit('/', 1)[-1]}": one.numpy()
        for index, one in enumerate(trained._variables)
    }


def one_step(trained: Trainer) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    before = weights_of(trained)
    trained.run()
    assert trained.step == 1
    return before, weights_of(trained)

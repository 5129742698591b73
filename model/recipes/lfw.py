"""Labeled Faces in the Wild, trained on the development identities alone."""

from model.recipe import Recipe

RECIPE = Recipe(
    network="residual",
    head="cosface",
    embedding_size=256,
    margin=0.2,
    scale=24.0,
    epochs=40,
    batch_size=64,
    optimizer="sgd",
    learning_rate=0.1,
    warmup_epochs=1.0,
    weight_decay=5e-3,
    crop=0.15,
    light=0.25,
    erase=0.4,
    flip_average=True,
)

"""A small network that is taught by a large one on the development identities of LFW."""

from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe(
    network="compact",
    head="cosine",
    embedding_size=192,
    epochs=15,
    batch_size=64,
    optimizer="adam",
    learning_rate=2e-3,
    warmup_epochs=1.0,
    weight_decay=2e-2,
    ema=0.995,
    crop=0.12,
    color_jitter=0.2,
    erase=0.3,
)

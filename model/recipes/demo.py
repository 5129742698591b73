"""Synthetic faces at 64x64 pixels: what `facemill demo` trains.

Six epochs over 5,753 images of 384 identities take two to four minutes on two cores. Result on
1,200 pairs of 100 other identities: 96.42 % +- 0.50 pair accuracy, equal error rate 3.33 %.
"""

from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe(
    network="residual",
    head="cosface",
    embedding_size=128,
    margin=0.2,
    scale=24.0,
    epochs=6,
    batch_size=64,
    optimizer="adam",
    learning_rate=2e-3,
    warmup_epochs=0.5,
    weight_decay=1e-2,
    color_jitter=0.1,
    flip_average=True,
)

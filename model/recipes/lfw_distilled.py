"""A small network that is taught by a large one on the development identities of LFW.

Ingest with `image_size` 112, `align` detect, `include_identities` peopleDevTrain.txt and `split`
train=0.95,val=0.05, import the teacher with `align` detect, and train this recipe with it.
docs/recipes.md has the commands. The teacher was a published MobileFaceNet of 234 million
multiply-adds; the network has 23 million, a tenth.

46 minutes on two cores that ran tests at the same time. The 1,000 pairs of pairsDevTest.txt, which
share no identity with the training: 94.10 % +- 0.94 (each tenth with the threshold of the other
nine), equal error rate 5.60 %; scored with `flip_average` 94.60 % +- 0.69.
"""

from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe(
    network="compact",
    head="cosine",
    embedding_size=192,
    epochs=40,
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

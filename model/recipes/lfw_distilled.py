"""A small network that is taught by a large one on the development identities of LFW.

Ingest with `image_size` 112, `align` detect, `include_identities` peopleDevTrain.txt and `split`
train=0.95,val=0.05, import the teacher with `align` detect, and train this recipe with it.
docs/recipes.md has the commands. The teacher was a published MobileFaceNet of 234 million
multiply-adds; the network has 23 million, a tenth.

The 40 epochs were not run to the end. After 10.4 epochs (311 seconds of CPU time, two cores that
were shared; images averaged to 56 pixels before augmentation), with the learning rate falling to
zero over these, the 1,000 pairs of pairsDevTest.txt gave 89.50 % +- 0.98 (each tenth with the
threshold of the other nine), equal error rate 10.2 %.
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

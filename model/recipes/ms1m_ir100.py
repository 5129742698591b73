"""IR-ResNet-100 on MS1MV2, with the settings of ArcFace's paper. It was not run here.

Source: Deng et al. 2019, arXiv 1801.07698, section 3.1: ArcFace with s = 64 and m = 0.5, images of
112 pixels, embeddings of 512, batches of 512, SGD with momentum 0.9, a rate of 0.1 divided by 10
after 100 and 160 thousand steps, and 180 thousand steps in all. The paper states 99.83 % on LFW.

Data: MS1MV2, 5.8 million images of 85 thousand identities, aligned to 112 pixels by five points;
the milestones are these steps in epochs of 5.8 million images. Hardware: the paper's four GPUs
(Tesla P40).

One thing differs. The paper's decay of 5e-4 is part of the gradient; here decay is decoupled, and
5e-3 takes away as much in all at a momentum of 0.9.
"""

from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe(
    network="ir100",
    head="arcface",
    embedding_size=512,
    margin=0.5,
    scale=64.0,
    steps=180_000,
    batch_size=512,
    optimizer="sgd",
    learning_rate=0.1,
    warmup_epochs=0.0,
    schedule="step",
    milestones=(8.8, 14.1),
    step_factor=0.1,
    momentum=0.9,
    weight_decay=5e-3,
    crop=0.0,
    color_jitter=0.0,
)

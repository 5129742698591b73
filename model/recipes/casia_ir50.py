"""IR-ResNet-50 on CASIA-WebFace, with the settings of ArcFace's paper. It was not run here.

Source: Deng et al. 2019, arXiv 1801.07698, section 3.1: ArcFace with s = 64 and m = 0.5, images of
112 pixels, embeddings of 512, batches of 512, SGD with momentum 0.9, a rate of 0.1 divided by 10
after 20 and 28 thousand steps, and 32 thousand steps in all. The paper states 99.53 % on LFW,
95.56 % on CFP-FP and 95.15 % on AgeDB-30 (its Table 2).

Data: CASIA-WebFace, 494,414 images of 10,575 identities, aligned to 112 pixels by five points; the
milestones are these steps in epochs of so many images. Hardware: the paper's four GPUs (Tesla P40).

One thing differs. The paper's decay of 5e-4 is part of the gradient; here decay is decoupled, and
5e-3 takes away as much in all at a momentum of 0.9.
"""

from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe(
    network="ir50",
    head="arcface",
    embedding_size=512,
    margin=0.5,
    scale=64.0,
    steps=32_000,
    batch_size=512,
    optimizer="sgd",
    learning_rate=0.1,
    warmup_epochs=0.0,
    schedule="step",
    milestones=(20.7, 29.0),
    step_factor=0.1,
    momentum=0.9,
    weight_decay=5e-3,
    crop=0.0,
    color_jitter=0.0,
)

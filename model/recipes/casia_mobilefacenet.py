"""MobileFaceNet on CASIA-WebFace, with the settings of its paper. It was not run here.

Source: Chen et al. 2018, arXiv 1804.07573, section 4.1: ArcFace, images of 112 pixels, batches of
512, SGD with momentum 0.9, a rate of 0.1 divided by 10 after 36, 52 and 58 thousand steps, and 60
thousand steps in all. The paper states 99.28 % on LFW and 93.05 % on AgeDB-30.

Data: CASIA-WebFace, 494,414 images of 10,575 identities, aligned to 112 pixels by five points; the
milestones are these steps in epochs of so many images. Hardware: a GPU; on a CPU of two cores a
step of 512 images takes some 25 seconds, so 60,000 of them are out of reach.

Two things differ. The paper's decay of 4e-5 is part of the gradient; here decay is decoupled, and
4e-4 takes away as much in all at a momentum of 0.9. The paper decays its last layers by ten times
as much, which a recipe cannot say.
"""

from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe(
    network="mobilefacenet",
    head="arcface",
    embedding_size=128,
    margin=0.5,
    scale=64.0,
    steps=60_000,
    batch_size=512,
    optimizer="sgd",
    learning_rate=0.1,
    warmup_epochs=0.0,
    schedule="step",
    milestones=(37.3, 53.8, 60.1),
    step_factor=0.1,
    momentum=0.9,
    weight_decay=4e-4,
    crop=0.0,
    color_jitter=0.0,
)

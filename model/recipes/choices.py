"""Names of the all that a recipe chooses from; the help texts import them, so light."""

RECIPES = ("default", "demo", "lfw")
NETWORKS = ("plain", "mobilefacenet", "residual")
HEADS = (
    "softmax", "arcface", "cosface", "adaface", "subcenter", "combined", "triplet", "siamese",
)  # fmt: skip
# Heads of cross-entropy over all identities, and those of them that have centers to sample.
CLASSIFIERS = ("softmax", "arcface", "cosface", "adaface", "subcenter", "combined")
SAMPLED = CLASSIFIERS[1:]
OPTIMIZERS = ("gradient-descent", "sgd", "adam", "adamw", "lamb", "lion")
SCHEDULES = ("constant", "step", "polynomial", "cosine")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")

"""Names of all that a recipe chooses from; the help texts import them, so light."""

RECIPES = ("default", "demo", "lfw")
NETWORKS = (
    "plain", "mobilefacenet", "residual", "ir18", "ir34", "ir50", "ir100", "ghostfacenet",
)  # fmt: skip
# `dropout` and `squeeze_excitation` change these alone.
WITH_DROPOUT = tuple(name for name in NETWORKS if name != "mobilefacenet")
IR_NETWORKS = NETWORKS[3:7]
WITH_SQUEEZE_EXCITATION = IR_NETWORKS
HEADS = (
    "softmax", "arcface", "cosface", "adaface", "subcenter", "combined", "triplet", "siamese",
)  # fmt: skip
# Heads of cross-entropy over all identities, and those of them that have centers to sample.
CLASSIFIERS = ("softmax", "arcface", "cosface", "adaface", "subcenter", "combined")
SAMPLED = CLASSIFIERS[1:]
# Heads that compare several images of one identity.
NEED_PAIRS = ("triplet", "siamese")
OPTIMIZERS = ("gradient-descent", "sgd", "adam", "adamw", "lamb", "lion")
SCHEDULES = ("constant", "step", "polynomial", "cosine")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
# What one name in several datasets is: one identity, or one in each.
MERGE, SEPARATE = "merge", "separate"
IDENTITIES = (MERGE, SEPARATE)
ORDERS = ("deterministic", "fast")

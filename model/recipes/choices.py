"""Names of all that a recipe chooses from; the help texts import them, so light."""

RECIPES = ("default", "demo", "lfw")
IR_NETWORKS = ("ir18", "ir34", "ir50", "ir100")
NETWORKS = ("plain", "mobilefacenet", "residual", *IR_NETWORKS, "ghostfacenet")
# The networks that dropout, and those that squeeze-and-excitation, can change.
WITH_DROPOUT = ("plain", "residual", *IR_NETWORKS, "ghostfacenet")
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
ORDERS = ("deterministic", "fast")

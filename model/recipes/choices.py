"""Names of all that a recipe chooses from; the help texts import them, so light."""

RECIPES = (
    "default", "demo", "lfw", "lfw_distilled", "casia_mobilefacenet", "casia_ir50", "ms1m_ir100",
)  # fmt: skip
NETWORKS = (
    "plain", "mobilefacenet", "residual", "compact",
    "ir18", "ir34", "ir50", "ir100", "ghostfacenet", "patches",
)  # fmt: skip
IR_NETWORKS = NETWORKS[4:8]
# Dropout, and squeeze and excitation, change these alone.
WITH_DROPOUT = ("plain", "residual", "compact", *IR_NETWORKS, "ghostfacenet", "patches")
WITH_SQUEEZE_EXCITATION = IR_NETWORKS
# Networks whose embedding has parts that heads with centers judge each by itself.
PARTS = {"patches": 4}
HEADS = (
    "softmax", "arcface", "cosface", "adaface", "subcenter", "combined", "triplet", "siamese",
)  # fmt: skip
# Heads of cross-entropy over all identities, and those of them that have centers to sample.
CLASSIFIERS = ("softmax", "arcface", "cosface", "adaface", "subcenter", "combined")
SAMPLED = CLASSIFIERS[1:]
# Heads that learn from a teacher alone; their losses can also be added to those of the others.
TAUGHT = ("mse", "cosine")
# Heads that compare several images of one identity.
NEED_PAIRS = ("triplet", "siamese")
OPTIMIZERS = ("gradient-descent", "sgd", "adam", "adamw", "lamb", "lion")
SCHEDULES = ("constant", "step", "polynomial", "cosine")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
# What one name in several datasets is: one identity, or one in each.
MERGE, SEPARATE = "merge", "separate"
IDENTITIES = (MERGE, SEPARATE)
ORDERS = ("deterministic", "fast")

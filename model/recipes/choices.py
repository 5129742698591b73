"""Names of the recipes, networks, heads and optimizers; the help texts import them, so light."""

RECIPES = ("default", "demo", "lfw")
IR_NETWORKS = ("ir18", "ir34", "ir50", "ir100")
NETWORKS = ("plain", "mobilefacenet", "residual", *IR_NETWORKS, "ghostfacenet")
# `--dropout` and `--squeeze-excitation` change these alone.
WITH_DROPOUT = ("plain", "residual", *IR_NETWORKS, "ghostfacenet")
WITH_SQUEEZE_EXCITATION = IR_NETWORKS
HEADS = ("softmax", "arcface", "cosface")
OPTIMIZERS = ("sgd", "adam")

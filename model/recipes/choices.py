"""Names of the recipes, networks, heads and optimizers; the help texts import them, so light."""

RECIPES = ("default", "demo", "lfw")
NETWORKS = ("plain", "mobilefacenet", "residual")
HEADS = ("softmax", "arcface", "cosface")
OPTIMIZERS = ("sgd", "adam")
ORDERS = ("deterministic", "fast")

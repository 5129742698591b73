"""Names of the recipes, networks, heads and optimizers; imported by `--help`, so light."""

RECIPES = ("default", "demo", "lfw")
NETWORKS = ("plain", "mobilefacenet", "residual")
HEADS = ("softmax", "arcface", "cosface")
OPTIMIZERS = ("sgd", "adam")

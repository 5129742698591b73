"""Names of the recipes, networks, heads and optimizers; light, for the command line."""

RECIPES = ("default", "demo", "lfw")
NETWORKS = ("plain", "mobilefacenet", "residual")
HEADS = ("softmax", "arcface", "cosface")
OPTIMIZERS = ("sgd", "adam")

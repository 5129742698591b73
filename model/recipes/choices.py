"""Names of the networks, heads and optimizers that there are; light, for the command line."""

NETWORKS = ("plain", "mobilefacenet", "residual")
HEADS = ("softmax", "arcface", "cosface")
OPTIMIZERS = ("sgd", "adam")

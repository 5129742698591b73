"""Which images are kept: balance, splits, lists and held-out sets."""

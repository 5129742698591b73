"""How a selection may be asked for; light, for the command line."""

# Which images of a class stay under a cap: drawn ones, or the sharpest.
DRAWN, SHARPEST = "hash", "quality"
PREFERENCES = (DRAWN, SHARPEST)

# What a split is drawn for: an identity is in one split, or each image by itself.
BY_IDENTITY, BY_IMAGE = "identity", "image"
SPLIT_UNITS = (BY_IDENTITY, BY_IMAGE)

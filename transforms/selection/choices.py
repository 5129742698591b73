"""The choices that a selection offers; imports nothing, for the command line."""

# Which images of a class a cap keeps: images drawn by hash, or the sharpest.
DRAWN, SHARPEST = "hash", "quality"
PREFERENCES = (DRAWN, SHARPEST)

# The unit for which a split is drawn: a whole identity, or each image by itself.
BY_IDENTITY, BY_IMAGE = "identity", "image"
SPLIT_UNITS = (BY_IDENTITY, BY_IMAGE)

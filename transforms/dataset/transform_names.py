"""Names of what tensorflow-transform leaves in a dataset, for its writer and its reader.

The reader trains, and imports neither tensorflow-transform nor Beam.
"""

# Of the dataset; its files lie here, and run.json lists under this name those that the manifest
# cannot list.
TRANSFORM = "transform"
# A SavedModel, relative to TRANSFORM.
SAVED_MODEL = "transform_fn"
# One identity a line, in the order of their labels, relative to SAVED_MODEL.
VOCABULARY = "identities"
VOCABULARY_FILE = f"assets/{VOCABULARY}"

# What it gives for each record.
LABEL = "label"
PIXEL_MEAN = "pixel_mean"
PIXEL_STD = "pixel_std"

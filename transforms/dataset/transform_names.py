"""Names of tensorflow-transform's files in a dataset, for ingest and for training.

Training imports neither tensorflow-transform nor Beam, so the names have a module of their own.
"""

# Folder in the dataset. Also the key in run.json of its files whose bytes differ from run to run,
# which the manifest cannot list.
TRANSFORM = "transform"
# A SavedModel, relative to TRANSFORM.
SAVED_MODEL = "transform_fn"
# One identity per line, in the order of the labels; the file is relative to SAVED_MODEL.
VOCABULARY = "identities"
VOCABULARY_FILE = f"assets/{VOCABULARY}"

# Its outputs for each record.
LABEL = "label"
PIXEL_MEAN = "pixel_mean"
PIXEL_STD = "pixel_std"

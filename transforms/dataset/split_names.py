"""Names of the splits, and of the folders of a dataset; light, for the command line."""

SPLITS = ("train", "val", "test")
# Kept images of nobody in particular: a gallery's distractors. They cannot be trained on.
UNLABELED = "unlabeled"
# Pictures under two identities, written apart for a person to look at.
QUARANTINE = "quarantine"
FOLDERS = (*SPLITS, UNLABELED, QUARANTINE)

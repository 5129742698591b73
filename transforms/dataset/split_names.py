"""Names of the splits and folders of a dataset; imports nothing, for the command line."""

SPLITS = ("train", "val", "test")
# Kept images without an identity: a gallery's distractors. They cannot be trained on.
UNLABELED = "unlabeled"
# Images that the input has under two identities, written to their own folder for review.
QUARANTINE = "quarantine"
FOLDERS = (*SPLITS, UNLABELED, QUARANTINE)

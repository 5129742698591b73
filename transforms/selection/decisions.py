"""What is decided of each image: the rows that travel from the selection on."""

import numpy as np

from facemill.transforms.core import row_ids
from facemill.transforms.core.rows import Rows
from facemill.transforms.dataset.split_names import SPLITS

# Why an image is not kept; `selection.explain` gives the words.
KEEP, EXCLUDED, NOT_INCLUDED, HELD_OUT, TWO_SPLITS, TOO_FEW, TOO_MANY = range(7)
# Added to the last two where the class is a value of an attribute.
OF_ATTRIBUTE = 2

DECISION = np.dtype(
    [
        ("row_id", "<u8"),
        ("identity", "<u8"),
        ("order", "<u8"),
        ("group", "<u8"),
        ("sharpness", "<f4"),
        # Place in FOLDERS, or -1.
        ("split", "<i1"),
        ("reason", "u1"),
        # What the reason says: how many images the class has, how many are required or allowed.
        ("have", "<u4"),
        ("limit", "<u4"),
        # How often the image is written, and what it weighs in training, before normalization.
        ("copies", "<u4"),
        ("weight", "<f8"),
    ]
)

TRAIN = SPLITS.index("train")


class DecisionRows(Rows):
    """DECISION rows."""

    __slots__ = ()
    dtype = DECISION


def is_new(rows: np.ndarray) -> np.ndarray:
    """Which images are of the input, and not of a dataset that is added to: bool [N]."""
    return row_ids.origins_of(rows["row_id"]) == row_ids.NEW

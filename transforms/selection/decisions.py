"""The decision on each image: rows that the selection passes to the later stages."""

import numpy as np

from facemill.transforms.core import row_ids
from facemill.transforms.core.rows import Rows
from facemill.transforms.dataset.split_names import SPLITS

# Why an image is not kept; `selection.explain` makes the sentence.
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
        # Index in FOLDERS, or -1.
        ("split", "<i1"),
        ("reason", "u1"),
        # The numbers of the reason: images of the class, and images required or allowed.
        ("have", "<u4"),
        ("limit", "<u4"),
        # How many records the image has, and its weight in training before normalization.
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
    """Which images are from the input, and not from the base: bool [N]."""
    return row_ids.origins_of(rows["row_id"]) == row_ids.NEW

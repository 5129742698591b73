"""Checks that no image has two rows in a set of embeddings."""

from collections.abc import Sequence

import numpy as np

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.keyed import keyed_hash


class OneRowEach:
    """Takes the image_ids of a set, table by table; holds eight bytes for each.

    Args:
        path: of the embeddings.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._keys = [np.zeros(0, np.uint64)]

    def add(self, ids: Sequence[str]) -> None:
        """Takes the image_ids of some rows."""
        hashes = (keyed_hash(0, "row", one) for one in ids)
        self._keys.append(np.fromiter(hashes, np.uint64, len(ids)))

    def check(self) -> None:
        """Checks all that were taken.

        Raises:
            RunError: an image has two rows.
        """
        joined = np.sort(np.concatenate(self._keys))
        if np.any(joined[1:] == joined[:-1]):
            raise RunError(
                f"Each image must have one row in {self._path}, but some have two; score the "
                "images again."
            )

"""Random decisions, for tests of balance."""

import numpy as np

from facemill.transforms.core.row_ids import BASE, NEW, chunk_number, row_ids_of
from facemill.transforms.selection.decisions import DECISION, EXCLUDED, KEEP, TRAIN


def decisions(seed: int, count: int, values: int, plain: bool = False) -> np.ndarray:
    """DECISION rows with values of an attribute.

    Args:
        seed: of the draws.
        count: rows.
        values: different values of the attribute, the first more frequent than the last.
        plain: whether all are new, kept and of the train split; else some are not.
    """
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, DECISION)
    origins = np.where(rng.random(count) < (0 if plain else 0.2), BASE, NEW)
    for row, origin in enumerate(origins.tolist()):
        rows["row_id"][row] = row_ids_of(chunk_number(origin, row, 0), 1)[0]
    rows["order"] = rng.integers(0, 2**64, count, np.uint64)
    # Hashes, so that some are above 2^63.
    names = rng.integers(1, 2**64, values, np.uint64)
    rows["group"] = names[np.minimum(rng.geometric(0.6, count), values) - 1]
    rows["sharpness"] = rng.integers(0, 5, count)
    rows["split"], rows["reason"], rows["copies"], rows["weight"] = TRAIN, KEEP, 1, 1.0
    if not plain:
        rows["group"][rng.random(count) < 0.1] = 0
        rows["split"] = rng.integers(0, 4, count)
        rows["reason"][rng.random(count) < 0.1] = EXCLUDED
        rows["copies"] = rng.integers(1, 4, count)
        rows["weight"] = rng.random(count)
        # Equal hashes, which are rare, so that row ids decide.
        rows["order"][rng.random(count) < 0.1] = 7
    return rows

"""Reads a complete set of embeddings, with the identities of its images."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.transforms.core.errors import RunError
from facemill.transforms.scoring.embeddings import ID, EmbeddingSet, unit


@dataclass(frozen=True)
class Faces:
    """Embeddings in the order of their names, so that no result depends on their parts.

    Attributes:
        ids: [N] image_ids, sorted.
        identities: [N], None for an image that names none.
        vectors: float32 [N, D], of length 1.
    """

    ids: list[str]
    identities: list[str | None]
    vectors: np.ndarray


def read_faces(path: str, manifest: Mapping[str, Any]) -> Faces:
    """Reads all embeddings of an artifact into memory.

    Raises:
        RunError: a part differs from its manifest, an image has two rows, or an embedding is not
            finite or all zeros.
    """
    given = EmbeddingSet.of(path, manifest)
    given.check_files()
    ids: list[str] = []
    identities: list[str | None] = []
    matrices = [np.zeros((0, given.size), np.float32)]
    for block in given.blocks(given.all_slices(), (ID, "identity")):
        ids += block.ids
        identities += block.table["identity"].to_pylist()
        matrices.append(unit(block.vectors, path))
    order = sorted(range(len(ids)), key=ids.__getitem__)
    names = [ids[row] for row in order]
    twice = next((one for one, other in itertools.pairwise(names) if one == other), None)
    if twice is not None:
        raise RunError(
            f"Each image must have one row in {path}, but {twice} has two; score the images again."
        )
    vectors = np.concatenate(matrices)[order]
    return Faces(names, [identities[row] or None for row in order], vectors)

"""Computes embeddings in Python, without a command or a pipeline, and finds similar faces.

`Model` takes the bytes of photos (or arrays of pixels) and returns vectors of length 1, so the dot
product of two vectors is the cosine similarity of the faces.

    python examples/score_from_python.py model photos/
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import facemill


def main(arguments: Sequence[str]) -> None:
    """Prints the five most similar pairs of photos from different folders."""
    given = list(arguments) or ["demo/model", "demo/photos/images"]
    model = facemill.Model.load(given[0])
    paths = sorted(path for path in Path(given[1]).rglob("*") if path.is_file())[:200]
    results = model.embed_each([path.read_bytes() for path in paths])

    named = [(path, one) for path, one in zip(paths, results, strict=True)]
    good = [(path, one) for path, one in named if not isinstance(one, str)]
    for path, reason in named:
        if isinstance(reason, str):
            print(f"{path.name} has no embedding: {reason}")
    print(f"{len(good)} photos, {model.embedding_size} numbers for each")

    vectors = np.stack([vector for _, vector in good])
    similarity = vectors @ vectors.T
    folders = np.array([str(path.parent) for path, _ in good])
    similarity[folders[:, None] == folders[None]] = -1
    first, second = np.unravel_index(np.argsort(-similarity, axis=None), similarity.shape)
    for one, other in list(zip(first, second, strict=True))[:10:2]:
        print(f"{similarity[one, other]:.3f}  {good[one][0].name}  {good[other][0].name}")


if __name__ == "__main__":
    main(sys.argv[1:])

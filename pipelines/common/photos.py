"""The faces of scored photos as thumbnails, read again from the input that was scored.

A photo that has moved, or that lies in an archive, has no thumbnail: a report does without.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.pipelines.common.report import images
from facemill.transforms import storage
from facemill.transforms.core.errors import FacemillError
from facemill.transforms.dataset import artifact
from facemill.transforms.images.decode import Decoded, DecodeError, decode
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.scoring.embeddings import ID, KIND, EmbeddingSet

# Formats of which each photo is a file of its own.
_FILES = ("folders", "lfw", "megaface", "manifest")
_COLUMNS = (ID, "source", "face_box")
# Of a face's box, what is shown around it on each side.
_AROUND = 0.3
_SIDE = 96


class Photos:
    """Photos of embeddings.

    Args:
        given: the embeddings.
    """

    def __init__(self, given: EmbeddingSet) -> None:
        self._set = given
        self._root = _root_of(given.path)

    def faces(self, ids: Iterable[str]) -> dict[str, bytes]:
        """A small JPEG of each face that can be had.

        Args:
            ids: some image_ids; all of the embeddings' names are read once for them.
        """
        wanted = pa.array(sorted(set(ids)), pa.string())
        if self._root is None or not len(wanted):
            return {}
        found: dict[str, bytes] = {}
        for table in self._set.tables(self._set.all_slices(), _COLUMNS):
            for row in table.filter(pc.is_in(table[ID], value_set=wanted)).to_pylist():
                decoded = _read(self._root, row["source"])
                if decoded is not None:
                    box = row["face_box"]
                    face = decoded.pixels if box is None else _cut(decoded, box)
                    found[row[ID]] = images.encode(face, _SIDE)
        return found


def _root_of(embeddings: str) -> str | None:
    """What the names of the files are relative to; None where the photos are no files."""
    try:
        options = artifact.read_manifest(embeddings, KIND)["options"]
    except FacemillError:
        return None
    inputs: dict[str, Any] = artifact.read_run(embeddings).get("inputs", {})
    root = inputs.get("root", inputs.get("input"))
    return root if options.get("format") in _FILES and isinstance(root, str) else None


def _read(root: str, source: str | None) -> Decoded | None:
    if not source:
        return None
    try:
        path = artifact.resolve(root, source)
        if not storage.is_file(path) or storage.size(path) > MAX_BYTES:
            return None
        return decode(storage.read_bytes(path))
    except (OSError, DecodeError, FacemillError):
        return None


def _cut(decoded: Decoded, box: list[float]) -> np.ndarray:
    """The pixels of a face and a margin; the whole photo where the box lies outside of it."""
    height, width = decoded.pixels.shape[:2]
    left, top, right, bottom = (value / decoded.scale for value in box)
    margin = _AROUND * max(right - left, bottom - top)
    columns = slice(max(0, int(left - margin)), min(width, int(right + margin) + 1))
    rows = slice(max(0, int(top - margin)), min(height, int(bottom + margin) + 1))
    face = decoded.pixels[rows, columns]
    return face if face.size else decoded.pixels

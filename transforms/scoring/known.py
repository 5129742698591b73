"""Photos that earlier embeddings hold: which are not scored again, and which have gone."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.parquet_parts import part_batches
from facemill.transforms.scan.listing import image_key
from facemill.transforms.scoring.rows import photo_id

REMOVED = "removed/"
ERRORS = "errors/"
SHA256 = "sha256"

_ROWS_AT_A_TIME = 65_536
# Of a photo that has gone or could not be read: that of a SHA-256 which nobody has seen.
_NO_CONTENT = 0
_ROW = np.dtype([("key", "<u8"), ("content", "<u8"), ("has_gone", "?")])


@dataclass(frozen=True)
class Earlier:
    """Embeddings that an earlier run wrote.

    Attributes:
        root: absolute path or URL.
        manifest: of them.
        all_faces: whether all faces of a photo have rows.
    """

    root: str
    manifest: dict[str, Any]
    all_faces: bool

    def paths(self) -> list[str]:
        """The paths of all parts: of embeddings, errors and removed photos."""
        return [
            artifact.resolve(self.root, entry["path"])
            for entry in self.manifest["files"]
            if entry["path"].endswith(".parquet")
        ]

    def is_removed(self, path: str) -> bool:
        """Whether a part lists photos that had gone when the embeddings were made."""
        return self._is_in(path, REMOVED)

    def _is_in(self, path: str, folder: str) -> bool:
        return f"/{folder}" in path.removeprefix(self.root)

    def photos(self, path: str) -> Iterator[tuple[str, str | None]]:
        """The photo of each row of a part, and the SHA-256 of its content.

        None stands for a photo that has gone, or that could not be read.

        Args:
            path: one of `paths()`.
        """
        columns = ["image_id"] if self.is_removed(path) else ["image_id", SHA256]
        is_face = self.all_faces and not self.is_removed(path) and not self._is_in(path, ERRORS)
        for batch in part_batches(path, columns, _ROWS_AT_A_TIME):
            names = batch.column(0).to_pylist()
            contents = batch.column(1).to_pylist() if len(columns) > 1 else [None] * len(names)
            yield from zip(map(photo_id, names) if is_face else names, contents, strict=True)


class KnownPhotos:
    """The photos of earlier embeddings with a hash of their content.

    A hash is 64 bits of the SHA-256. It is compared for a photo of the same image_id alone, so two
    different contents count as equal with a probability of 2**-64 for each photo.

    Args:
        keys: uint64 [N], the `image_key` of each photo in increasing order.
        contents: uint64 [N], the hashes.
    """

    def __init__(self, keys: np.ndarray, contents: np.ndarray) -> None:
        self._keys = keys
        self._contents = contents

    def holds(self, image_id: str, sha256: str) -> bool:
        """Whether a photo was scored with this content.

        Args:
            image_id: of the photo.
            sha256: of its bytes, hexadecimal.
        """
        return self._content(image_id) == _content_key(sha256)

    def has(self, image_id: str) -> bool:
        """Whether a photo was listed, with any content."""
        return self._content(image_id) is not None

    def _content(self, image_id: str) -> int | None:
        key = np.uint64(image_key(image_id))
        place = int(np.searchsorted(self._keys, key))
        if place < len(self._keys) and self._keys[place] == key:
            return int(self._contents[place])
        return None


def write_known(earlier: Sequence[Earlier], path: str) -> None:
    """Writes what the last of several embeddings says of each photo that has not gone since.

    Args:
        earlier: embeddings, the oldest first.
        path: of a file of uint64 [2, N] in numpy's format: keys and contents, see `KnownPhotos`.
    """
    parts = [(one, part) for one in earlier for part in one.paths()]
    rows = [np.zeros(0, _ROW)] + [_rows(one, part) for one, part in parts]
    joined = np.concatenate(rows)
    # Sorting is stable: of equal keys the last is of the newest embeddings.
    joined = joined[np.argsort(joined["key"], kind="stable")]
    is_last = np.append(joined["key"][1:] != joined["key"][:-1], True)[: len(joined)]
    found = joined[is_last & ~joined["has_gone"]]
    with storage.new_file(path, sync=False) as stream:
        np.save(stream, np.stack([found["key"], found["content"]]))


def _rows(earlier: Earlier, part: str) -> np.ndarray:
    found = list(earlier.photos(part))
    has_gone = earlier.is_removed(part)
    return np.fromiter(
        ((image_key(name), _content_key(sha256), has_gone) for name, sha256 in found),
        _ROW,
        len(found),
    )


def _content_key(sha256: str | None) -> int:
    return int(sha256[:16], 16) if sha256 else _NO_CONTENT


@functools.lru_cache(maxsize=1)
def known_photos(path: str) -> KnownPhotos:
    """What `write_known` wrote; a process opens it once.

    Raises:
        NotSharedError: this machine does not see it.
    """
    keys, contents = storage.map_array(path)
    return KnownPhotos(keys, contents)


def check_has_contents(earlier: Earlier) -> None:
    """Checks that earlier embeddings say which contents they were made of.

    Raises:
        RunError: they do not: they are templates, or of an earlier version of facemill.
    """
    for path in earlier.paths():
        if earlier.is_removed(path):
            continue
        with storage.open_arrow(path) as source:
            if SHA256 not in pq.read_schema(source).names:
                raise RunError(
                    f"{earlier.root} must say which contents it was made of, but it holds "
                    "templates or was written by an earlier version of facemill; score the photos "
                    "once without it."
                )

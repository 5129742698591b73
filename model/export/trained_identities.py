"""Which identities a model was trained on: hashes of their names, beside the model.

An evaluation on people of the training set says little about others. The names themselves stay in
the dataset; the hashes have no secret key, so whoever has a name can look it up.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.identity_names import folded

# Relative to the model: little-endian uint64, ascending, one for each identity.
FILE = "trained_identities.bin"
_DTYPE = np.dtype("<u8")


def hashes_of(identities: Iterable[str]) -> np.ndarray:
    """uint64 [N] of the names, in their order; names with one folded form have one hash."""
    return np.array([keyed_hash(0, "trained", folded(name) or "") for name in identities], _DTYPE)


def to_bytes(identities: Iterable[str]) -> bytes:
    """The content of FILE."""
    return np.unique(hashes_of(identities)).tobytes()


def read(model: str, manifest: Mapping[str, Any]) -> np.ndarray | None:
    """The hashes of a model, uint64 [N], ascending; None for one of an earlier version.

    Args:
        model: path of the model.
        manifest: its manifest.

    Raises:
        RunError: the file is missing or damaged.
    """
    entries = artifact.entries_under(manifest, FILE)
    if not entries:
        return None
    artifact.check_sizes(model, entries)
    content = storage.read_bytes(artifact.resolve(model, FILE))
    if len(content) % _DTYPE.itemsize:
        raise RunError(
            f"{model}/{FILE} must hold 8 bytes for each identity, got {len(content)}; train again."
        )
    return np.frombuffer(content, _DTYPE)

"""Reads the people that a clustering found."""

from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.parquet_parts import part_batches
from facemill.transforms.scoring.embeddings import ID

KIND = "clusters"
CLUSTERS, CLUSTER = "clusters", "cluster"

_ROWS = 1 << 16


def read_clusters(
    path: str, parameter: str, model_id: str
) -> tuple[dict[str, str], dict[str, Any]]:
    """The person of each face in a clustering, and its manifest.

    Args:
        path: of the clustering, as the caller gave it.
        parameter: that gives it.
        model_id: of the embeddings that it is used with.

    Returns:
        (image_id to the name of its person, the manifest).

    Raises:
        UsageError: it is no clustering, or one of another model's embeddings.
        RunError: a part is absent or of another size.
    """
    root = storage.absolute(path, parameter)
    manifest = artifact.read_manifest(root, KIND)
    if manifest["model_id"] != model_id:
        raise ParameterError(
            parameter,
            root,
            must=f"be of embeddings of the same model ({model_id[:12]}...)",
            got=f"{root} of {manifest['model_id'][:12]}...",
            do="leave it out",
        )
    entries = artifact.entries_under(manifest, f"{CLUSTERS}/")
    artifact.check_sizes(root, entries)
    found: dict[str, str] = {}
    for entry in entries:
        for batch in part_batches(artifact.resolve(root, entry["path"]), (ID, CLUSTER), _ROWS):
            found.update(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return found, manifest

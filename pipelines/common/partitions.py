"""Partitions: outputs of many nights in one directory, named so that later ones are newer."""

import sys
from dataclasses import dataclass
from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.dataset import artifact
from facemill.transforms.scoring.embeddings import KIND, EmbeddingSet


@dataclass(frozen=True)
class Partition:
    """Embeddings of one night.

    Attributes:
        name: of its directory.
        given: the embeddings.
        manifest: of them.
    """

    name: str
    given: EmbeddingSet
    manifest: dict[str, Any]

    @property
    def all_faces(self) -> bool:
        """Whether its rows are faces of photos, and not photos."""
        return bool(self.manifest["options"].get("faces") == "all")


def output_of(output: str, partition: str | None) -> str:
    """Absolute path or URL of the directory that a run writes.

    Args:
        output: the option.
        partition: name of a directory in it, or None.

    Raises:
        UsageError: `output` is an artifact, and cannot hold partitions.
    """
    root = storage.absolute(output, "output")
    if partition is None:
        return root
    if artifact.has_manifest(root, "output"):
        raise ParameterError(
            "output",
            output,
            must="be a directory of partitions",
            but=f"{output} is an artifact itself",
            do="give another path",
        )
    return storage.join(root, partition)


def partitions_in(root: str) -> list[Partition]:
    """The partitions in a directory, the oldest first; those of killed runs are reported.

    Args:
        root: absolute path or URL; what is not there holds none.

    Raises:
        UsageError: a subdirectory is something else.
    """
    found = []
    try:
        names = sorted(storage.names(root))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    for name in names:
        path = storage.join(root, name)
        if name.startswith(".") or storage.is_file(path):
            continue
        if artifact.is_unfinished(path):
            print(f"{name} is left out: its run did not end", file=sys.stderr)
            continue
        manifest = artifact.read_manifest(path, KIND)
        found.append(Partition(name, EmbeddingSet.of(path, manifest), manifest))
    return found

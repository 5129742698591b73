"""What both ways of matching share: the kind of artifact, and how an option names embeddings."""

from typing import Any

from facemill.transforms.core.errors import ParameterError
from facemill.transforms.scoring.embeddings import EmbeddingSet, read_set

KIND = "matches"
REPORT = "report.html"


def needed(path: str | None, parameter: str) -> tuple[EmbeddingSet, dict[str, Any]]:
    """The embeddings that an option names, and their manifest.

    Raises:
        UsageError: the option is not given, or names no embeddings.
    """
    if path is None:
        raise ParameterError(
            parameter,
            path,
            must="name embeddings",
            got="none",
            do="give a directory that `facemill score` wrote",
        )
    return read_set(path, parameter)

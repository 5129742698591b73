"""Embeddings that are made of other embeddings: what their manifest and `run.json` take over."""

from collections.abc import Mapping, Sequence
from typing import Any

from facemill.transforms.dataset import artifact

# Of `run.json`: where the photos and the model are. Reports and thresholds look there.
_PASSED_ON = ("input", "root", "model")


def inputs_of(embeddings: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The inputs of a job that makes embeddings of others.

    Args:
        embeddings: parameter to path, of what the job reads.

    Returns:
        (name to path: the embeddings, and of the photos and the model what all of them agree on;
        the names of those that may have moved since).
    """
    runs = [artifact.read_run(path).get("inputs", {}) for path in embeddings.values()]
    passed = {
        name: runs[0][name]
        for name in _PASSED_ON
        if all(name in run and run[name] == runs[0][name] for run in runs)
    }
    return {**embeddings, **passed}, [*embeddings, *passed]


def format_of(manifests: Sequence[Mapping[str, Any]]) -> str | None:
    """The layout of the photos, which tells how to find them again; None if it differs."""
    formats = {one["options"].get("format") for one in manifests}
    return formats.pop() if len(formats) == 1 else None

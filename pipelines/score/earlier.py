"""The embeddings that `facemill score --since` names."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from facemill.pipelines.common.partitions import partitions_in
from facemill.pipelines.score.options import ALL, ScoreOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.scoring.known import Earlier, check_has_contents


def read_earlier(options: ScoreOptions, model: Mapping[str, Any]) -> list[Earlier]:
    """The earlier embeddings, the oldest first.

    Args:
        options: of the run.
        model: the manifest of its model.

    Raises:
        UsageError: one of them is no complete set of embeddings, or of another model, or has rows
            for other faces.
        RunError: one of them does not say which contents it was made of.
    """
    paths = [one for path in options.since for one in _nights(path, options)]
    if options.since and not paths:
        print(f"no partition before {options.partition}: scoring all photos", file=sys.stderr)
    return [_read(path, options, model) for path in paths]


def fingerprints(earlier: Sequence[Earlier]) -> list[str]:
    """What identifies the earlier embeddings in a manifest."""
    return [artifact.fingerprint(one.manifest) for one in earlier]


def _nights(path: str, options: ScoreOptions) -> list[str]:
    """The embeddings that one value of `since` names: itself, or the partitions in it.

    Of the directory of partitions that this run writes into, those before its own; in the first
    night there are none.
    """
    root = storage.absolute(path, "since")
    if artifact.has_manifest(root, "since"):
        return [path]
    partitions = partitions_in(root)
    if options.partition is not None:
        partitions = [one for one in partitions if one.name < options.partition]
        if not partitions and root == storage.absolute(options.output, "output"):
            return []
    return [one.given.path for one in partitions] or [path]


def _read(path: str, options: ScoreOptions, model: Mapping[str, Any]) -> Earlier:
    root = storage.absolute(path, "since")
    manifest = artifact.read_manifest(root, "embeddings")
    if manifest["model_id"] != model["model_id"]:
        raise UsageError(
            f"--since must be embeddings of the model of this run ({model['model_id']}), but "
            f"{path} is of {manifest['model_id']}; score all photos with the new model."
        )
    for name in ("faces", "flip_average", "average_crops"):
        there, here = manifest["options"].get(name), getattr(options, name)
        if there is not None and there != here:
            raise UsageError(
                f"--since must be embeddings that were made alike, but {path} was made with "
                f"{name} {there} and this run has {here}; give the same, or score all photos."
            )
    earlier = Earlier(root, manifest, options.faces == ALL)
    check_has_contents(earlier)
    return earlier

"""The parts of a manifest that a job reads: a manifest that was edited may lack them."""

from collections.abc import Iterator, Mapping
from typing import Any

from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset.artifact import read_manifest

# A part is a mapping of parts, a list of one kind of part, or what a value is.
_COUNT, _SIZE, _TEXT = "a whole number", "a whole number above 0", "a text"
_FILE = {"path": _TEXT, "bytes": _COUNT, "sha256": _TEXT}
_SPLIT = {"records": _COUNT, "identities": _COUNT, "shards": [_TEXT]}
_CROP = {"image_size": _SIZE, "align": _TEXT}
_PARTS: dict[str, dict[str, Any]] = {
    "dataset": {
        "options": {"image_size": _SIZE},
        "preprocessing": _CROP,
        "splits": {"train": _SPLIT, "val": _SPLIT},
        "files": [_FILE],
    },
    "model": {
        "model_id": _TEXT,
        "embedding_size": _SIZE,
        "preprocessing": _CROP,
        "files": [_FILE],
    },
}


def read_complete(path: str, kind: str) -> dict[str, Any]:
    """The manifest of a complete artifact that has the parts which a training reads.

    Args:
        path: of the artifact, absolute, or its URL.
        kind: `dataset` or `model`.

    Raises:
        UsageError: there is none, or a part is missing or of another type.
    """
    manifest = read_manifest(path, kind)
    check_parts(path, manifest, kind)
    return manifest


def check_parts(path: str, manifest: Mapping[str, Any], kind: str) -> None:
    """Checks that a manifest has the parts of its kind.

    Args:
        path: of the artifact.
        manifest: its manifest.
        kind: `dataset` or `model`.

    Raises:
        UsageError: one is missing or of another type; the sentence names it.
    """
    for where, must, got in _wrong(manifest, _PARTS[kind], ""):
        found = "nothing" if got is None else repr(got)[:60]
        raise UsageError(
            f"The manifest of {path} must have {must} at {where}, got {found}; it was changed or "
            f"damaged, so write the {kind} again."
        )


def _wrong(value: Any, part: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    """Where a value differs from its part, what must be there, and what is."""
    if isinstance(part, dict):
        if not isinstance(value, dict):
            yield where, "an object", value
            return
        for name, inner in part.items():
            yield from _wrong(value.get(name), inner, f"{where}.{name}" if where else name)
    elif isinstance(part, list):
        if not isinstance(value, list):
            yield where, "a list", value
            return
        for number, one in enumerate(value):
            yield from _wrong(one, part[0], f"{where}[{number}]")
    elif not _fits(value, part):
        yield where, part, value


def _fits(value: Any, part: str) -> bool:
    if part == _TEXT:
        return isinstance(value, str)
    return type(value) is int and value >= (1 if part == _SIZE else 0)
